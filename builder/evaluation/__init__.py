"""The machinery that examines a finished file; it is handed the gates and imports none of them.

Imports go one way: `builder.gates` imports from here what a gate asks and judges by (`gate`,
`questions`, `result`, `statistics`, `subject`, `texts`, `reference`, `distance`). Whoever examines
a file passes `builder.gates.table.GATES` to `examination.examine`.
"""
