"""Asks a running Prometheus what every panel and alert asks: `python -m tools.panels http://127.0.0.1:9090 [--json FILE]`.

Prints a line a query with its number of series (those that are no number do not count); exit code 1 where one fails, or a panel
or a variable has none. A panel that is rightly empty
while nothing is wrong must say so in its expression (`or vector(0)`). An alert is empty while nothing is wrong; what it asks for
must be known all the same: each metric that it names is in streams/metrics.py, or Prometheus has it.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode
from urllib.request import urlopen

import yaml

from tools.metrics import rows

DEPLOY = Path(__file__).parent.parent / "deploy"
_RANGE = "10m"
_WORD = re.compile(r"\b\w+:verdictline_\w+:\w+|\b(?:verdictline|nv|process)_\w+|\bup\b")


@dataclass(frozen=True, kw_only=True)
class Asked:
    """One query. where: dashboard or group of rules; what: panel or alert. series: None before it was asked."""

    kind: str
    where: str
    what: str
    expr: str
    series: int | None = None
    error: str = ""

    @property
    def bad(self) -> bool:
        return bool(self.error) or (self.kind in ("panel", "variable") and not self.series)


def panels(folder: Path = DEPLOY / "grafana" / "dashboards") -> Iterator[Asked]:
    """Every query of every panel, variables as they are when all is selected."""
    for path in sorted(folder.glob("*.json")):
        board = json.loads(path.read_text(encoding="utf-8"))
        for panel in board["panels"]:
            for target in panel.get("targets", ()):
                yield Asked(kind="panel", where=path.stem, what=panel["title"], expr=filled(target["expr"]))
        for variable in board["templating"].get("list", ()):
            yield Asked(kind="variable", where=path.stem, what=variable["name"], expr=_values(filled(variable["query"])))


def alerts(folder: Path = DEPLOY / "prometheus" / "rules") -> Iterator[Asked]:
    for path in sorted(folder.glob("*.yaml")):
        for group in yaml.safe_load(path.read_text(encoding="utf-8"))["groups"]:
            for rule in group["rules"]:
                kind = "alert" if "alert" in rule else "recording"
                yield Asked(
                    kind=kind, where=path.stem, what=rule.get("alert") or rule["record"], expr=" ".join(rule["expr"].split())
                )


def filled(expr: str) -> str:
    """Grafana's variables replaced: everything is selected, rates and ranges go over ten minutes."""
    text = re.sub(r"\$(__rate_interval|__range|__interval)\b", _RANGE, expr)
    return re.sub(r"\$\w+", ".*", text)


def _values(query: str) -> str:
    """`label_values(metric, label)` as a query that has a series for each value."""
    metric, label = re.fullmatch(r"label_values\((.*), (\w+)\)", query).groups()  # type: ignore[union-attr]
    return f"count by ({label}) ({metric})"


def asked(url: str, wanted: Sequence[Asked]) -> list[Asked]:
    """Each with what Prometheus answered."""
    known = {*_get(f"{url}/api/v1/label/__name__/values"), *ours()}
    with ThreadPoolExecutor(4) as pool:
        return list(pool.map(lambda one: _ask(url, one, known), wanted))


def ours() -> set[str]:
    """Names of all series that streams/metrics.py can give."""
    return {name for row in rows() for name in row.names}


def _ask(url: str, one: Asked, known: set[str]) -> Asked:
    try:
        found = _get(f"{url}/api/v1/query?{urlencode({'query': one.expr})}")
    except HTTPError as error:
        return replace(one, error=json.loads(error.read()).get("error", str(error)))
    except URLError as error:
        return replace(one, error=str(error.reason))
    unknown = sorted(names(one.expr) - known) if one.kind == "alert" else []
    numbers = [series for series in found["result"] if series["value"][1] != "NaN"]
    if one.kind == "variable":  # a value that is empty is none
        numbers = [series for series in numbers if series["metric"]]
    return replace(one, series=len(numbers), error=f"no such metric: {', '.join(unknown)}" if unknown else "")


def names(expr: str) -> set[str]:
    """The metrics that an expression names; what is in braces and in `by (...)` are labels."""
    labels = r"\{[^}]*\}|\b(?:by|on|without|ignoring|group_left|group_right) ?\([^)]*\)"
    return set(_WORD.findall(re.sub(labels, "", expr)))


def _get(url: str) -> Any:
    with urlopen(url, timeout=10) as answer:
        return json.loads(answer.read())["data"]


def table(found: Sequence[Asked]) -> str:
    """A line each; what is bad is marked."""
    rows = [
        f"{'!!' if one.bad else '  '} {one.kind:9} {one.where:10} {one.series if one.series is not None else '-':>6}  {one.what}"
        + (f"  [{one.error}]" if one.error else "")
        for one in found
    ]
    return "\n".join(["   kind      where      series  what", *rows])


def as_json(found: Sequence[Asked]) -> list[Mapping[str, Any]]:
    return [asdict(one) for one in found]


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("url")
    parser.add_argument("--json", type=Path, help="write the table there, too")
    given = parser.parse_args()
    found = asked(given.url, [*panels(), *alerts()])
    sys.stdout.write(table(found) + "\n")
    if given.json is not None:
        given.json.write_text(json.dumps(as_json(found), indent=1) + "\n", encoding="utf-8")
    return 1 if any(one.bad for one in found) else 0


if __name__ == "__main__":
    sys.exit(main())
