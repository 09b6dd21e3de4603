"""Reading fields of a document with errors that name the place (Python 3.6).

`Field(document, "bundle x/manifest.json", remedy)["stages"][0]["id"].text()` gives the text or
raises one line such as `bundle x/manifest.json: stages[0].id is 3, not text; export it again`.
"""

from edgesynth_rt.errors import UserError
from edgesynth_rt.strict_json import shown

MAX_TEXT = 4096
MAX_ITEMS = 100000


class Field(object):
    """One value of a document and where it stands there."""

    def __init__(self, value, document, remedy, place=""):
        self.value = value
        self._document = document
        self._remedy = remedy
        self._place = place

    def __getitem__(self, key):
        """The member `key` of an object; raises UserError when it is absent."""
        field = self.get(key)
        if field is None:
            raise UserError("%s: %s is missing; %s" % (self._document, self._at(key), self._remedy))
        return field

    def get(self, key):
        """The member `key` of an object, or None when it is absent."""
        self.object()
        if key not in self.value:
            return None
        return Field(self.value[key], self._document, self._remedy, self._at(key))

    def given(self, key):
        """The member `key` of an object, or None when it is absent or null."""
        field = self.get(key)
        return None if field is None or field.value is None else field

    def refuse(self, wanted):
        """The UserError that says this value is not what was `wanted`."""
        return UserError(
            "%s: %s is %s, not %s; %s"
            % (self._document, self._place or "it", shown(self.value), wanted, self._remedy)
        )

    def object(self):
        """The value as a dict."""
        if not isinstance(self.value, dict):
            raise self.refuse("an object")
        return self.value

    def members(self):
        """(key, Field) of every member of an object, in the order of the file."""
        return [(key, self[key]) for key in self.object()]

    def items(self, least=0, most=MAX_ITEMS):
        """The elements of a list of `least` to `most` elements, as fields."""
        if not isinstance(self.value, list):
            raise self.refuse("a list")
        if not least <= len(self.value) <= most:
            raise UserError(
                "%s: %s has %d elements, not %d to %d; %s"
                % (self._document, self._place, len(self.value), least, most, self._remedy)
            )
        return [
            Field(value, self._document, self._remedy, "%s[%d]" % (self._place, index))
            for index, value in enumerate(self.value)
        ]

    def text(self, most=MAX_TEXT, empty=False):
        """The value as one line of printable text of at most `most` characters."""
        value = self.value
        if not isinstance(value, str):
            raise self.refuse("text")
        if not (value or empty) or len(value) > most or any(not c.isprintable() for c in value):
            raise self.refuse("one line of 1 to %d printable characters" % most)
        return value

    def one_of(self, known):
        """The value as one of the texts in `known`."""
        if not isinstance(self.value, str) or self.value not in known:
            raise self.refuse("one of " + ", ".join(sorted(known)))
        return self.value

    def integer(self, least, most):
        """The value as an integer between `least` and `most`, both allowed."""
        value = self.value
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise self.refuse("an integer from %d to %d" % (least, most))
        return value

    def number(self, least, most):
        """The value as a number between `least` and `most`, both allowed."""
        value = self.value
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise self.refuse("a number")
        if not least <= value <= most:
            raise self.refuse("a number from %g to %g" % (least, most))
        return value

    def boolean(self):
        """The value as True or False."""
        if not isinstance(self.value, bool):
            raise self.refuse("true or false")
        return self.value

    def sha256(self):
        """The value as 64 lower-case hexadecimal digits."""
        value = self.value
        if not isinstance(value, str) or len(value) != 64 or set(value) - set("0123456789abcdef"):
            raise self.refuse("a SHA-256 of 64 hexadecimal digits")
        return value

    def _at(self, key):
        name = key if key.isprintable() and len(key) <= 40 else shown(key)
        return "%s.%s" % (self._place, name) if self._place else name
