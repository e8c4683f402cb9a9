"""Examines a finished file with the gates that it is given; it imports none of them.

Imports go one way: `builder.gates` imports from here (`gate`, `result`, `statistics`, `subject`,
`texts`, `reference`, `distance`). The caller passes `builder.gates.table.GATES` to
`examination.examine`.
"""
