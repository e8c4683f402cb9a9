"""The checks of `persona doctor`, one module for each kind; `examination` lists them."""
