"""What a command shows of a build, one module a view."""
