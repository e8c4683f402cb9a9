"""The tables of persona.toml, and how their mistakes are told."""
