"""taxonomy.v1: the classes of defects that a product has, how they came about, and which version is in force."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field, StringConstraints, model_validator

from schemas.common import Message, Text, Time, canonical
from schemas.ids import Digest, Inspection, Name

RESERVED = ("good", "unknown", "unsure")
ClassName = Annotated[str, StringConstraints(min_length=1, max_length=80, strip_whitespace=True, pattern=r"^[^\x00-\x1f\x7f]+$")]


class ClassV1(Message):
    """id: for ever, whatever it is called. retired: no new label has it; its old ones stay what they are."""

    id: Name
    name: ClassName
    state: Literal["active", "retired"] = "active"
    description: Annotated[str, StringConstraints(max_length=1000)] = ""


class TaxonomyActV1(Message):
    """One step from the version before. of, into: ids of classes.

    add: into one new class. rename: of and into the same one. merge: of two or more, into one, new or of theirs; the others
    retire. split: of one, which retires, into two or more new ones. retire: of one. Ids are never used again.
    """

    act: Literal["add", "rename", "merge", "split", "retire"]
    of: tuple[Name, ...] = Field(default=(), max_length=1000)
    into: tuple[Name, ...] = Field(default=(), max_length=1000)

    @model_validator(mode="after")
    def it_has_its_shape(self) -> TaxonomyActV1:
        n, m = len(set(self.of)), len(set(self.into))
        shapes = {
            "add": (n, m) == (0, 1),
            "rename": n == 1 and self.of == self.into,
            "merge": n >= 2 and m == 1,
            "split": n == 1 and m >= 2 and self.of[0] not in self.into,
            "retire": (n, m) == (1, 0),
        }
        if not shapes[self.act] or n < len(self.of) or m < len(self.into):
            raise ValueError(f"{self.act} of {self.of} into {self.into}: see the act's description for what it takes")
        return self


class TaxonomyV1(Message):
    """The defect classes of a product. Engineers -> console, training. Its digest is its version.

    previous: the version before; acts: what leads from there to here, in order. The first version has neither.
    `good` is no class of defects; `unknown` and `unsure` are answers.
    """

    TYPE = "verdictline.taxonomy.taxonomy.v1"
    product: Name
    classes: tuple[ClassV1, ...] = Field(max_length=1000)
    previous: Digest | None = None
    acts: tuple[TaxonomyActV1, ...] = Field(default=(), max_length=1000)

    def find(self, id: str) -> ClassV1 | None:
        return next((one for one in self.classes if one.id == id), None)

    @model_validator(mode="after")
    def it_holds_together(self) -> TaxonomyV1:
        fault = next(self._faults(), None)
        if fault is not None:
            raise ValueError(fault)
        return self

    def _faults(self) -> Iterator[str]:
        ids = [one.id for one in self.classes]
        names = [one.name.casefold() for one in self.classes if one.state == "active"]
        yield from (f"class {id!r}: this word means something else" for id in ids if id in RESERVED)
        yield from (f"class {id!r} is there twice" for id in sorted({id for id in ids if ids.count(id) > 1}))
        yield from (f"two active classes are called {name!r}" for name in sorted({n for n in names if names.count(n) > 1}))
        if (self.previous is None) != (not self.acts):
            yield "acts lead from the version before: give both `previous` and `acts`, or neither"
        known = set(ids)
        missing = [id for act in self.acts for id in (*act.of, *act.into) if id not in known]
        yield from (f"an act names class {id!r}, which is not listed: retired classes stay" for id in missing)


class TaxonomyPointerV1(Message):
    """The version in force at `current/<product>`."""

    TYPE = "verdictline.taxonomy.pointer.v1"
    digest: Digest
    who: Text
    why: Text


class ClassProposalV1(Message):
    """A cluster of unknowns gets a name: a new class, or one there is. Console -> engineers. Its key: `proposal/<id>`.

    members: every inspection it would apply to; borderline: those of them that were looked at one by one; left_out: looked at
    and taken out. taxonomy: the version that was in force. label: the class that exists; name: the new one's. withdrawn: the
    whole of it was undone.
    """

    TYPE = "verdictline.taxonomy.proposal.v1"
    product: Name
    taxonomy: Digest
    label: Name | None = None
    name: ClassName | None = None
    members: tuple[Inspection, ...] = Field(min_length=1, max_length=5000)
    borderline: tuple[Inspection, ...] = Field(default=(), max_length=5000)
    left_out: tuple[Inspection, ...] = Field(default=(), max_length=5000)
    who: Text
    why: Text
    proposed_at: Time
    withdrawn: bool = False

    @property
    def id(self) -> str:
        """Of what it was made from: proposing again, or withdrawing, keeps it."""
        made_of = [self.product, self.taxonomy, self.label, self.name, sorted(self.members), self.who]
        return hashlib.sha256(canonical(made_of)).hexdigest()

    @model_validator(mode="after")
    def one_class_and_its_members(self) -> ClassProposalV1:
        if (self.label is None) == (self.name is None):
            raise ValueError("give either the label of a class that exists, or the name of a new one")
        members = set(self.members)
        if len(members) < len(self.members) or not set(self.borderline) <= members or members & set(self.left_out):
            raise ValueError("members are listed once; borderline ones are members, those left out are not")
        return self
