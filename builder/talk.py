"""A conversation with the built file, through llama-cpp-python and without Ollama."""

from __future__ import annotations

from builder import modelfile
from builder.console import Console
from builder.llama import Model
from builder.stage import Job


def talk(job: Job, question: str | None, console: Console) -> None:
    """Answer one question, or one after the other until the person leaves."""
    served = modelfile.decide(job)
    model = Model(job.gguf)
    limit = job.persona.manifest.smoke.max_tokens
    messages = [{"role": "system", "content": served.system}] if served.system else []
    if question is None:
        console.notes([f"talking to {job.persona.name}; Ctrl-D ends it"])
    while True:
        try:
            said = question or input(">>> ")
        except EOFError:
            print()  # noqa: T201
            return
        messages.append({"role": "user", "content": said})
        answer = model.ask(messages, limit)
        print(answer.text)  # noqa: T201
        messages.append({"role": "assistant", "content": answer.text})
        if question:
            return
