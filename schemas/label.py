"""label.v1: the training truth that people give. Console -> training, gauge, escape bound. Never rewritten, only taken back."""

from __future__ import annotations

import hashlib
from typing import Annotated, Literal

from pydantic import Field, StringConstraints, model_validator

from schemas.common import ImageRef, Message, Purpose, Share, Text, Time, canonical
from schemas.ids import INSPECTION_PATTERN, NAME_PATTERN, Digest, Inspection, Name, Station, evidence_id

Answer = Literal["good", "defect", "unsure"]
Opinion = Literal["first", "second", "third"]
Role = Literal["operator", "reviewer", "engineer", "admin"]
Shown = Literal["review", "audit", "challenge", "cluster", "request"]
LABEL_ID_PATTERN = f"{INSPECTION_PATTERN[:-1]}(/{NAME_PATTERN[1:-1]})?/label/[0-9a-f]{{16}}$"
LabelId = Annotated[str, StringConstraints(pattern=LABEL_ID_PATTERN)]


def label_id(inspection: str, view: str | None, who: str, withdraws: str | None) -> str:
    """`inspection[/view]/label/<hash of who, withdraws>`. view: None for a label of the whole part.

    One person gives a part one label; the next one of the same person takes the last one back. So an answer that is sent again,
    or comes from a second tab, has the id of the first: the same content is a copy, another one came too late.
    """
    hashed = hashlib.blake2b(canonical([who, withdraws]), digest_size=8).hexdigest()
    return evidence_id(inspection, "label", view=view, model_set=hashed)


class MaskV1(Message):
    """Where the defect is, as painted: PNG, 8 bits grey, native resolution of the view's image; not 0: belongs to the class."""

    uri: Annotated[str, StringConstraints(pattern=r"^(file|s3)://.+", max_length=2000)]
    sha256: Digest
    bytes: int = Field(ge=1)
    width_px: int = Field(ge=1)
    height_px: int = Field(ge=1)


class LabelledViewV1(Message):
    """One image that was looked at. mask: only of a defect, and only where its size matters."""

    view: Name
    image: ImageRef
    mask: MaskV1 | None = None


class LabelV1(Message):
    """What a person said of one view, or of a whole part. Its id (`ce_id`) is `id`; the first with an id counts.

    of: `part` does not say which view shows it. views: what was on the screen. lot, serial: whose groups must stay together.
    revision: of the verdict that was effective. label: the class, of the taxonomy version `taxonomy`; a defect without one is
    a kind that nobody has named. looked_ms: image on the screen; 0 where a cluster was named and this part was not looked at.
    opinion: second and third are blind: given without having seen the ones before. shown: why this part was looked at; audit: a
    pass from the blind sample, drawn with audit_probability; challenge: its answer was known; cluster: by ClassProposalV1
    `proposal`; request: looked up, or looked at again. withdraws: the label of the same person that this one takes back;
    without an answer nothing takes its place.
    """

    TYPE = "verdictline.label.label.v1"
    inspection: Inspection
    station: Station
    product: Name
    lot: Text | None = None
    serial: Text | None = None
    purpose: Purpose
    acquisition: Digest | None = None
    revision: int | None = Field(default=None, ge=1)
    of: Literal["view", "part"]
    views: tuple[LabelledViewV1, ...] = Field(min_length=1, max_length=100)
    answer: Answer | None = None
    label: Name | None = None
    taxonomy: Digest | None = None
    who: Text
    role: Role
    why: Annotated[str, StringConstraints(max_length=2000)] = ""
    looked_ms: int = Field(ge=0)
    opinion: Opinion = "first"
    shown: Shown = "review"
    audit_probability: Share | None = None
    proposal: Digest | None = None
    withdraws: LabelId | None = None
    answered_at: Time

    @property
    def view(self) -> str | None:
        """None: of the whole part."""
        return self.views[0].view if self.of == "view" else None

    @property
    def id(self) -> str:
        return label_id(self.inspection, self.view, self.who, self.withdraws)

    @model_validator(mode="after")
    def it_says_what_it_means(self) -> LabelV1:
        faults = [fault for fault, wrong in self._faults() if wrong]
        if faults:
            raise ValueError(faults[0])
        return self

    def _faults(self) -> list[tuple[str, bool]]:
        names = [one.view for one in self.views]
        masked = any(one.mask for one in self.views)
        return [
            ("of a view, but it names several", self.of == "view" and len(names) > 1),
            ("a view is named twice", len(set(names)) < len(names)),
            ("no answer: only a label that takes another one back has none", self.answer is None and self.withdraws is None),
            ("a class belongs to the answer `defect`", self.label is not None and self.answer != "defect"),
            ("a class needs the taxonomy that it is of", (self.label is None) != (self.taxonomy is None)),
            ("a mask belongs to the answer `defect`", masked and self.answer != "defect"),
            ("audit_probability belongs to `shown: audit`", (self.audit_probability is None) == (self.shown == "audit")),
            ("proposal belongs to `shown: cluster`", (self.proposal is None) == (self.shown == "cluster")),
            ("it takes back a label of another part", self._of_another_part()),
        ]

    def _of_another_part(self) -> bool:
        own = evidence_id(self.inspection, "label", view=self.view)
        return self.withdraws is not None and self.withdraws.rpartition("/")[0] != own
