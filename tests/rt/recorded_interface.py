"""Classes with exactly the recorded interface of TensorRT's Python module, version by version.

`tensorrt_api.json` says which members a release has and which arguments they take; everything else
raises what the real bindings raise. What a member does is given by its user.
"""

import inspect
import json
import os
import re

RECORD = os.path.join(os.path.dirname(os.path.abspath(__file__)), "tensorrt_api.json")
with open(RECORD) as _stream:
    _RECORD = json.load(_stream)
VERSIONS = _RECORD["versions"]


def record(version):
    """{class: {member: form}} of one release."""
    found = {}
    for name, members in _RECORD["classes"].items():
        for member, forms in members.items():
            for form, versions in forms.items():
                if version in versions.split():
                    found.setdefault(name, {})[member] = form
    return found


class _Value(int):
    """A value of an enumeration; equal to its own kind only, as in pybind11."""

    def __new__(cls, kind, name, number):
        value = int.__new__(cls, number)
        value.kind, value.name = kind, name
        return value

    def __eq__(self, other):
        return isinstance(other, _Value) and (self.kind, self.name) == (other.kind, other.name)

    def __hash__(self):
        return hash((self.kind, self.name))

    def __repr__(self):
        return "%s.%s" % (self.kind, self.name)

    __str__ = __repr__


def make_enumeration(name, members):
    """An enumeration with the recorded values."""
    values = sorted(key for key, form in members.items() if form == "value")
    return type(name, (), {key: _Value(name, key, i) for i, key in enumerate(values)})


def make_class(name, members, behaviour):
    """A class with exactly the recorded members; attributes beyond them cannot be set."""
    space = {"__slots__": ("state",), "__init__": behaviour.get("__init__", _no_constructor(name))}
    for member, form in members.items():
        if member.startswith("__"):
            continue
        if form in ("read", "write"):
            getter, setter = behaviour.get(member, (None, None))
            space[member] = property(
                getter or _unknown(name, member),
                (setter or _unknown(name, member)) if form == "write" else None,
            )
        else:
            space[member] = _method(name, member, form, behaviour.get(member))
    return type(name, (), space)


def _no_constructor(name):
    def refuse(self, *_):
        raise TypeError("%s: No constructor defined!" % name)

    return refuse


def _unknown(name, member):
    def missing(*_):
        raise NotImplementedError("%s.%s is recorded but has no behaviour" % (name, member))

    return missing


def _method(name, member, form, behaviour):
    """A method that takes the arguments of one of the recorded overloads, else TypeError."""
    signatures = []
    for overload in form.split(" | "):
        parameters = [inspect.Parameter("self", inspect.Parameter.POSITIONAL_ONLY)]
        arguments = re.findall(r"\w+=?", overload)
        for place, argument in enumerate(arguments):
            # pybind11 takes a default before an argument without one; no call can leave it out
            optional = all(later.endswith("=") for later in arguments[place:])
            parameters.append(
                inspect.Parameter(
                    argument.rstrip("="),
                    inspect.Parameter.POSITIONAL_OR_KEYWORD,
                    default=None if optional else inspect.Parameter.empty,
                )
            )
        signatures.append(inspect.Signature(parameters))

    def call(self, *arguments, **keywords):
        for signature in signatures:
            try:
                signature.bind(self, *arguments, **keywords)
            except TypeError:
                continue
            return (behaviour or _unknown(name, member))(self, *arguments, **keywords)
        raise TypeError("%s.%s%s: incompatible function arguments" % (name, member, form))

    return call
