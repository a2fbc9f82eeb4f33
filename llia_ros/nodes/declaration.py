"""What a node's parameter is: its declaration, its limits, and how ROS 2 comes to know it.

A node's parameters are a frozen dataclass whose fields are made by `parameter` (see `parameters`).
This module needs no ROS until `declare` is called.
"""

from collections.abc import Callable
from dataclasses import Field, dataclass, field, fields, replace
from typing import Any, Generic, TypeVar


class ParameterError(ValueError):
    """A parameter has a value that its node cannot use."""


def parameter(
    default: bool | int | float | str,
    description: str,
    *,
    within: tuple[float, float] | None = None,
    choices: tuple[str, ...] | tuple[int, ...] | None = None,
    read_only: bool = False,
    several: bool = False,
) -> Any:
    """One field of a node's parameters; `within` is inclusive on both sides.

    `several`: a comma-separated list of the choices, each once, of which `none` stands alone.
    """
    metadata = {
        'description': description,
        'range': within,
        'choices': choices,
        'read_only': read_only,
        'several': several,
    }
    return field(default=default, metadata=metadata)


@dataclass(frozen=True)
class NodeParameters:
    """What every node has."""

    autostart: bool = parameter(
        True,
        'Configure and activate without being told to; false leaves it to a lifecycle manager.',
        read_only=True,
    )


def listed(value: str) -> list[str]:
    """The names in a comma-separated list."""
    return [name.strip() for name in value.split(',')]


def limits(item: Field[Any]) -> str:
    """What one parameter may be, in words: `1 .. 100`, `off, mask, aec` or an empty string."""
    if item.metadata['choices']:
        choices = ', '.join(map(str, item.metadata['choices']))
        return f'some of {choices}' if item.metadata['several'] else choices
    if item.metadata['range']:
        low, high = item.metadata['range']
        return f'{low} .. {high}'
    return ''


def check(value: Any) -> None:
    """Hold a node's parameters against their limits; ParameterError names the first bad one."""
    for item in fields(value):
        given = getattr(value, item.name)
        expected = type(item.default)
        if type(given) is not expected:
            example = repr(item.default).lower() if expected is bool else repr(item.default)
            raise ParameterError(
                f'parameter {item.name} must be a {expected.__name__} (such as {example}), '
                f'not {given!r}'
            )
        choices, within = item.metadata['choices'], item.metadata['range']
        if choices and item.metadata['several']:
            _check_list(item, listed(str(given)))
        elif choices and given not in choices:
            raise ParameterError(
                f'parameter {item.name} must be one of {limits(item)}, not {given!r}'
            )
        if within and not within[0] <= given <= within[1]:
            raise ParameterError(f'parameter {item.name} must be in {limits(item)}, not {given!r}')


def _check_list(item: Field[Any], names: list[str]) -> None:
    choices = item.metadata['choices']
    unknown = [name for name in names if name not in choices]
    if unknown or len(set(names)) < len(names) or ('none' in names and len(names) > 1):
        raise ParameterError(
            f'parameter {item.name} must be a comma-separated list, each once, {limits(item)} '
            f'(none alone), not {",".join(names)!r}'
        )


def describe(cls: type) -> str:
    """A table of a node's parameters, in markdown, for docs/ros_api.md."""
    rows = ['| parameter | default | limits | meaning |', '|---|---|---|---|']
    for item in fields(cls):
        default = str(item.default).lower() if isinstance(item.default, bool) else item.default
        default = f'`{default}`' if default != '' else 'empty'
        meaning = item.metadata['description']
        if item.metadata['read_only']:
            meaning += ' Read-only.'
        rows.append(f'| `{item.name}` | {default} | {limits(item)} | {meaning} |')
    return '\n'.join(rows)


P = TypeVar('P', bound=NodeParameters)


class Parameters(Generic[P]):
    """A node's parameters as they are now: `current` is replaced whole at every valid change."""

    def __init__(self, current: P) -> None:
        self.current = current
        self.on_change: Callable[[P, P], None] | None = None

    def change(self, changes: dict[str, Any]) -> None:
        """Take over changes, all or none.

        `on_change(old, new)` runs first and may refuse them with a ValueError.
        """
        new = replace(self.current, **changes)
        check(new)
        if self.on_change is not None:
            self.on_change(self.current, new)
        self.current = new


def declare(node: Any, cls: type[P]) -> Parameters[P]:
    """Declare a node's parameters with ROS 2 and follow their changes.

    Raises ParameterError with one clear line where an initial value is of a wrong type or out
    of its limits. Later changes that do are refused with that line as the reason.
    """
    from rcl_interfaces.msg import SetParametersResult
    from rclpy.exceptions import InvalidParameterTypeException, InvalidParameterValueException

    initial = {}
    for item in fields(cls):
        try:
            declared = node.declare_parameter(item.name, item.default, _descriptor(item))
            initial[item.name] = declared.value
        except (InvalidParameterTypeException, InvalidParameterValueException) as error:
            # The override that was refused is held against the limits again: our reason is
            # the clearer one.
            given = node._parameter_overrides[item.name].value
            check(cls(**{item.name: given}))
            raise ParameterError(f'parameter {item.name}: {error}') from error
    current = cls(**initial)
    check(current)
    parameters = Parameters(current)
    names = {item.name for item in fields(cls)}

    def on_set(changes: list[Any]) -> Any:
        ours = {change.name: change.value for change in changes if change.name in names}
        try:
            parameters.change(ours)
        except ValueError as error:
            return SetParametersResult(successful=False, reason=str(error))
        return SetParametersResult(successful=True)

    node.add_on_set_parameters_callback(on_set)
    return parameters


def _descriptor(item: Field[Any]) -> Any:
    from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor

    descriptor = ParameterDescriptor(
        description=item.metadata['description'],
        read_only=item.metadata['read_only'],
    )
    if item.metadata['choices']:
        some = limits(item) if item.metadata['several'] else f'one of: {limits(item)}'
        descriptor.additional_constraints = some
    if item.metadata['range']:
        low, high = item.metadata['range']
        if isinstance(item.default, int):
            descriptor.integer_range = [IntegerRange(from_value=int(low), to_value=int(high))]
        else:
            floating = FloatingPointRange(from_value=float(low), to_value=float(high))
            descriptor.floating_point_range = [floating]
    return descriptor
