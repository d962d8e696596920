"""Segmentation: the model's answers to evidence. Where exactly, how large, what shape? Severity is policy's affair."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from schemas.evidence import SegmentationV1
from schemas.segment_request import SegmentRequestV1
from streams.evidence.geometry import Labels, Window, covered, label_map, put_together
from streams.evidence.measures import Scale, instances
from streams.evidence.observation import Seen
from streams.evidence.tensors import MASK_SIDE, SEGMENT_OUTPUTS, Array, checked


def labels_of(answer: Mapping[str, Array], classes: Sequence[str], window: Window, cut: float) -> Labels:
    """One window's answer (a batch of one) as a map of labels at native resolution. Raises Unprocessable `bad_tensor`."""
    checked(answer, SEGMENT_OUTPUTS, classes=len(classes))
    return label_map(answer["mask_logits"][0], window.side, cut)


def segmentation(
    request: SegmentRequestV1, parts: Sequence[Window], maps: Sequence[Labels], classes: Sequence[str], seen: Seen
) -> SegmentationV1:
    """All windows of a request, measured together: a defect across two windows is one instance."""
    region = covered(parts)
    critical = request.critical
    scale = Scale(
        cell_px=parts[0].side / MASK_SIDE,
        mm_per_px=request.mm_per_px,
        u_scale=request.u_scale,
        critical=None if critical is None else (critical.x_px, critical.y_px),
    )
    return SegmentationV1(
        **seen.fields(),
        region=region,
        instances=instances(put_together(parts, maps), (region.x0, region.y0), classes, scale),
        mm_per_px=request.mm_per_px,
    )
