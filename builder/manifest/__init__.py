"""The tables of persona.toml, one module each for the larger ones."""
