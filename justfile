set positional-arguments
set quiet

# Messages name the command that was typed.
export PERSONA_COMMAND := "just"

persona := ".venv/bin/python -m builder"

# list the recipes, those that one needs first at the top
[private]
default:
    just --list --unsorted

# start a persona: NAME [--kind identity, voice or format] [--from FILE]
[group('first steps'), no-exit-message]
new *args: _environment
    {{ persona }} new "$@"

# show what is trained on: NAME [ROW]; with --all, each row of packs too
[group('first steps'), no-exit-message]
show *args: _environment
    {{ persona }} show "$@"

# build personas; with no name, list them
[group('first steps'), no-exit-message]
build *args: _environment
    {{ persona }} build "$@"

# talk to a built persona without Ollama: NAME [QUESTION] [--beside]
[group('first steps'), no-exit-message]
chat *args: _environment
    {{ persona }} chat "$@"

# say what this machine has for a build, and what is missing
[group('first steps'), no-exit-message]
doctor *args: _environment
    {{ persona }} doctor "$@"

# list the personas: what their builds came to, gates, name in Ollama
[group('builds'), no-exit-message]
list *args: _environment
    {{ persona }} list "$@"

# say which stages would run, and why; with --times, where the time went
[group('builds'), no-exit-message]
why *args: _environment
    {{ persona }} why "$@"

# write the page of a build, and print its path: NAME
[group('builds'), no-exit-message]
report *args: _environment
    {{ persona }} report "$@"

# ask a built persona the gates' whole table: NAME
[group('builds'), no-exit-message]
gates *args: _environment
    {{ persona }} gates "$@"

# compare the last two builds of NAME, or its last with OTHER's: NAME [OTHER]
[group('builds'), no-exit-message]
diff *args: _environment
    {{ persona }} diff "$@"

# take a persona's model out of Ollama: NAME
[group('builds'), no-exit-message]
remove *args: _environment
    {{ persona }} remove "$@"

# delete builds: NAME...
[group('builds'), no-exit-message]
clean *args: _environment
    {{ persona }} clean "$@"

# write a persona and its build into one file: NAME [--output FILE]
[group('giving away'), no-exit-message]
pack *args: _environment
    {{ persona }} pack "$@"

# put in place what `just pack` wrote: FILE
[group('giving away'), no-exit-message]
unpack *args: _environment
    {{ persona }} unpack "$@"

# write a persona's model as 16-bit safetensors, for transformers and vLLM: NAME
[group('giving away'), no-exit-message]
merged *args: _environment
    {{ persona }} merged "$@"

# give a finished build to others: NAME --to hf:OWNER/REPO or ollama:NAMESPACE/NAME
[group('giving away'), no-exit-message]
push *args: _environment
    {{ persona }} push "$@"

# list the bases that a persona can be built on
[group('looking up'), no-exit-message]
bases *args: _environment
    {{ persona }} bases "$@"

# list the keys of persona.toml
[group('looking up'), no-exit-message]
keys *args: _environment
    {{ persona }} keys "$@"

# build Ollama from source into the user's cache
[group('Ollama'), no-exit-message]
ollama:
    python3 tools/ollama.py build

# serve with the Ollama that `just ollama` built
[group('Ollama'), no-exit-message]
serve:
    python3 tools/ollama.py serve

# All of them share the cores; those that are chosen run in one process, as pytest does by itself.
shared_cores := "--numprocesses=logical --maxprocesses=4 --dist=worksteal"

# The tests start many processes: where a container says otherwise each would compile its modules.
keeping_bytecode := "PYTHONDONTWRITEBYTECODE="

# run the fast tests: minutes in all, without a whole build
[group('development'), no-exit-message]
test *args: _environment
    {{ keeping_bytecode }} .venv/bin/python -m pytest -m "not slow" {{ if args == "" { shared_cores } else { "" } }} "$@"

# run the other tests: whole builds, every family's conversion, every way to break off
[group('development'), no-exit-message]
test-slow *args: _environment
    .venv/bin/python -m pytest -m slow "$@"

# lint, types, imports
[group('development'), no-exit-message]
lint: _environment
    .venv/bin/ruff check .
    .venv/bin/ruff format --check .
    .venv/bin/mypy
    .venv/bin/lint-imports

# lint, types, imports, and every test, the fast ones first
[group('development'), no-exit-message]
check: lint test test-slow

# mend what the linter can
[group('development')]
fix: _environment
    .venv/bin/ruff check --fix .
    .venv/bin/ruff format .

# write anew what is written from the code: bases.md, errors.md, manifest.md, the JSON schema
[group('development')]
pages: _environment
    .venv/bin/python -m tools.pages

# build the docs as a site: site/index.html
[group('development')]
docs:
    uvx --quiet --from zensical==0.0.73 zensical build --clean --strict

# renew requirements.lock
[group('development')]
lock:
    uv pip compile pyproject.toml --extra dev --universal --generate-hashes --no-emit-index-url --no-header --upgrade -q -o requirements.lock

# make damaged builds of algieba, and see each caught by its gate
[group('development'), no-exit-message]
sabotage *args: _environment
    .venv/bin/python benchmarks/sabotage.py "$@"

# run a notebook cell by cell: FILE [--output=FILE]; its settings are environment variables
[group('development'), no-exit-message]
notebook *args:
    uvx --quiet --from nbclient==0.11.0 --with ipykernel==7.4.0 jupyter-execute "$@"

_environment:
    python3 tools/environment.py
