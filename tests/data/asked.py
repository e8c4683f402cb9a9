"""What the gates ask, by the files in the languages' folders: no training file may hold it."""

from builder.data import languages, questions
from builder.data.texts import normalise
from builder.gates.table import GATES

# The files of a language that are trained on; every other is a gate's.
TRAINED = ("courtesy", "replay")
GATES_WITH_FILES = tuple(gate.NAME for gate in GATES if languages.list_question_files(gate.NAME))


def list_gate_questions():
    """List what the gates ask, in any language."""
    return [one for name in GATES_WITH_FILES for one in questions.load(name)]


def list_asked_texts():
    """Give what is asked last in each of the gates' questions, normalised."""
    return {normalise(one.text) for one in list_gate_questions()}
