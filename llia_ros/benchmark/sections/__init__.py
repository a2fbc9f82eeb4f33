"""The sections of a sweep, one module each, in the order of the document.

A section is a module with TITLE, `measure(sweep) -> figures` and `write(figures, page, machine)`
(see `sweep.Section`); naming it here is all that makes it part of the sweep. What it measures
with the model runs in a process of its own (`child.call`): none inherits another's memory.
"""

SECTIONS = (
    'overall',
    'page',
    'cost',
    'precision',
    'instruction_sets',
    'pipeline',
    'clips',
    'steps',
    'sensitivity',
    'avatars',
    'growth',
    'beside',
)
