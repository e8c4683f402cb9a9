"""The table [gates] of a persona that is trained for a few steps, which no gate may stop."""

from builder.manifest.gate_settings import Gates

NAMES = tuple(name for name in Gates.model_fields if Gates.has(name))


def write_table(mode: str) -> str:
    """Write the table with every gate in one mode, and a second for their questions."""
    return "[gates]\nbudget_s = 1\n" + "".join(f'{name} = "{mode}"\n' for name in NAMES)
