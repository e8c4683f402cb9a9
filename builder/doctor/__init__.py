"""What `persona doctor` says of a machine: a module a kind of check, `examination` their table."""
