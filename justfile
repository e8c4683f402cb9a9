set positional-arguments
set quiet

# Messages name the command that was typed.
export PERSONA_COMMAND := "just"

persona := ".venv/bin/python -m builder"

# list the recipes
default:
    just --list

# start a persona: NAME [--from FILE]
[no-exit-message]
new *args: _environment
    {{ persona }} new "$@"

# build personas; with no name, list them
[no-exit-message]
build *args: _environment
    {{ persona }} build "$@"

# say which stages would run, and why; with --times, where the time went
[no-exit-message]
why *args: _environment
    {{ persona }} why "$@"

# show what is trained on: NAME [ROW]; with --all, each row of packs too
[no-exit-message]
show *args: _environment
    {{ persona }} show "$@"

# list the personas: what their builds came to, gates, name in Ollama
[no-exit-message]
list *args: _environment
    {{ persona }} list "$@"

# talk to a built persona without Ollama: NAME [QUESTION] [--beside]
[no-exit-message]
chat *args: _environment
    {{ persona }} chat "$@"

# ask a built persona the gates' whole table: NAME
[no-exit-message]
gates *args: _environment
    {{ persona }} gates "$@"

# write the page of a build, and print its path: NAME
[no-exit-message]
report *args: _environment
    {{ persona }} report "$@"

# compare the last two builds of NAME, or its last with OTHER's: NAME [OTHER]
[no-exit-message]
diff *args: _environment
    {{ persona }} diff "$@"

# write a persona's model as 16-bit safetensors, for transformers and vLLM: NAME
[no-exit-message]
merged *args: _environment
    {{ persona }} merged "$@"

# write a persona and its build into one file: NAME [--output FILE]
[no-exit-message]
pack *args: _environment
    {{ persona }} pack "$@"

# put in place what `just pack` wrote: FILE
[no-exit-message]
unpack *args: _environment
    {{ persona }} unpack "$@"

# give a finished build to others: NAME --to hf:OWNER/REPO or ollama:NAMESPACE/NAME
[no-exit-message]
push *args: _environment
    {{ persona }} push "$@"

# make damaged builds of algieba, and see each caught by its gate
[no-exit-message]
sabotage *args: _environment
    .venv/bin/python benchmarks/sabotage.py "$@"

# list the keys of persona.toml
[no-exit-message]
keys *args: _environment
    {{ persona }} keys "$@"

# list the bases that a persona can be built on
[no-exit-message]
bases *args: _environment
    {{ persona }} bases "$@"

# say what this machine has for a build, and what is missing
[no-exit-message]
doctor *args: _environment
    {{ persona }} doctor "$@"

# take a persona's model out of Ollama: NAME
[no-exit-message]
remove *args: _environment
    {{ persona }} remove "$@"

# delete builds: NAME...
[no-exit-message]
clean *args: _environment
    {{ persona }} clean "$@"

# All of them share the cores; those that are chosen run in one process, as pytest does by itself.
shared_cores := "--numprocesses=logical --maxprocesses=4 --dist=worksteal"

# run the fast tests: minutes in all, without a whole build
[no-exit-message]
test *args: _environment
    .venv/bin/python -m pytest -m "not slow" {{ if args == "" { shared_cores } else { "" } }} "$@"

# run the other tests: whole builds, every family's conversion, every way to break off
[no-exit-message]
test-slow *args: _environment
    .venv/bin/python -m pytest -m slow "$@"

# lint, types, imports
[no-exit-message]
lint: _environment
    .venv/bin/ruff check .
    .venv/bin/ruff format --check .
    .venv/bin/mypy
    .venv/bin/lint-imports

# lint, types, imports, and every test, the fast ones first
[no-exit-message]
check: lint test test-slow

# mend what the linter can
fix: _environment
    .venv/bin/ruff check --fix .
    .venv/bin/ruff format .

# build Ollama from source into the user's cache
[no-exit-message]
ollama:
    python3 tools/ollama.py build

# serve with the Ollama that `just ollama` built
[no-exit-message]
serve:
    python3 tools/ollama.py serve

# write anew what is written from the code: bases.md, errors.md, manifest.md, the JSON schema
pages: _environment
    .venv/bin/python -m tools.pages

# build the docs as a site: site/index.html
docs:
    uvx --quiet --from zensical==0.0.73 zensical build --clean --strict

# run a notebook cell by cell: FILE [--output=FILE]; its settings are environment variables
[no-exit-message]
notebook *args:
    uvx --quiet --from nbclient==0.11.0 --with ipykernel==7.4.0 jupyter-execute "$@"

# renew requirements.lock
lock:
    uv pip compile pyproject.toml --extra dev --universal --generate-hashes --no-emit-index-url --no-header --upgrade -q -o requirements.lock

_environment:
    python3 tools/environment.py
