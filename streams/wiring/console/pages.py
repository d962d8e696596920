"""The table of the console: a row per page and act, with the roles that may. Navigation, routes and the checks follow from it.

A new page: a module with its handler, a template, a row here.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal

from starlette.responses import Response

from schemas.label import Role
from streams.wiring.console import (
    class_acts,
    classes,
    inspection,
    lines,
    login,
    masks,
    model_acts,
    models,
    painted,
    pictures,
    queue,
    reviewers,
    thumbnails,
    unknowns,
    users,
)
from streams.wiring.console.ports import Ask
from streams.wiring.console.reviews import DECIDERS, REVIEWERS

Handler = Callable[[Ask], Response] | Callable[[Ask], Awaitable[Response]]
ALL: frozenset[Role] = frozenset(("operator", "reviewer", "engineer", "admin"))
ADMIN: frozenset[Role] = frozenset(("admin",))


@dataclass(frozen=True, kw_only=True)
class Page:
    """act: what is done, in words. may: who; None: anybody, logged in or not. menu: its name in the navigation, if it is there.
    takes: what a POST sends: a form, or a PNG.

    A handler that is no coroutine function runs in a thread, so it may wait for a database.
    """

    path: str
    act: str
    may: frozenset[Role] | None
    handler: Handler
    method: Literal["GET", "POST"] = "GET"
    menu: str | None = None
    takes: Literal["form", "png"] = "form"


PAGES: tuple[Page, ...] = (
    Page(path="/", act="go to the first page", may=ALL, handler=lines.home),
    Page(path="/queue", act="review parts", may=REVIEWERS, handler=queue.show, menu="Queue"),
    Page(path="/queue/answer", act="decide a part", may=REVIEWERS, handler=queue.answer, method="POST"),
    Page(path="/queue/undo", act="take back an answer", may=REVIEWERS, handler=queue.undo, method="POST"),
    Page(path="/queue/skip", act="put a part back", may=REVIEWERS, handler=queue.skip, method="POST"),
    Page(path="/lines", act="look at the lines", may=ALL, handler=lines.show, menu="Lines"),
    Page(path="/lines/events", act="follow the lines", may=ALL, handler=lines.follow),
    Page(path="/inspection", act="look at a part", may=ALL, handler=inspection.show, menu="Inspection"),
    Page(path="/inspection/image", act="look at an image", may=ALL, handler=pictures.image),
    Page(path="/inspection/thumbnail", act="look at a small image", may=ALL, handler=thumbnails.show),
    Page(path="/inspection/heat", act="look at a heat map", may=ALL, handler=pictures.heat),
    Page(path="/inspection/mask", act="look at a mask", may=ALL, handler=painted.show),
    Page(path="/mask", act="paint a mask", may=REVIEWERS, handler=masks.show),
    Page(path="/mask/image", act="see the image to paint on", may=REVIEWERS, handler=masks.image),
    Page(path="/mask/proposal", act="see a proposed mask", may=REVIEWERS, handler=masks.proposal),
    Page(path="/mask/measure", act="measure a mask", may=REVIEWERS, handler=masks.measure, method="POST", takes="png"),
    Page(path="/mask/save", act="save a mask", may=REVIEWERS, handler=masks.save, method="POST", takes="png"),
    Page(path="/unknowns", act="look at unknown defects", may=ALL, handler=unknowns.show, menu="Unknowns"),
    Page(path="/unknowns/cluster", act="look at a cluster of them", may=ALL, handler=unknowns.cluster),
    Page(path="/unknowns/name", act="name a cluster", may=REVIEWERS, handler=unknowns.name, method="POST"),
    Page(path="/unknowns/undo", act="undo a naming", may=REVIEWERS, handler=unknowns.take_back, method="POST"),
    Page(path="/classes", act="look at the classes", may=ALL, handler=classes.show, menu="Classes"),
    Page(path="/classes/begin", act="write classes down", may=DECIDERS, handler=class_acts.begin, method="POST"),
    Page(path="/classes/add", act="add a class", may=DECIDERS, handler=class_acts.add, method="POST"),
    Page(path="/classes/rename", act="rename a class", may=DECIDERS, handler=class_acts.rename, method="POST"),
    Page(path="/classes/merge", act="merge classes", may=DECIDERS, handler=class_acts.merge, method="POST"),
    Page(path="/classes/split", act="split a class", may=DECIDERS, handler=class_acts.split, method="POST"),
    Page(path="/classes/retire", act="retire a class", may=DECIDERS, handler=class_acts.retire, method="POST"),
    Page(path="/classes/accept", act="accept a proposed class", may=DECIDERS, handler=class_acts.accept, method="POST"),
    Page(path="/classes/reject", act="reject a proposed class", may=DECIDERS, handler=class_acts.reject, method="POST"),
    Page(path="/reviewers", act="look at how people review", may=DECIDERS, handler=reviewers.show, menu="Reviewers"),
    Page(path="/models", act="look at the models", may=ALL, handler=models.show, menu="Models"),
    Page(path="/models/report", act="look at a candidate's page", may=ALL, handler=model_acts.report),
    Page(path="/models/promote", act="promote models", may=DECIDERS, handler=model_acts.promote, method="POST"),
    Page(path="/models/roll-back", act="roll models back", may=DECIDERS, handler=model_acts.roll_back, method="POST"),
    Page(path="/users", act="see the users", may=ADMIN, handler=users.show, menu="Users"),
    Page(path="/users/add", act="add a user", may=ADMIN, handler=users.add, method="POST"),
    Page(path="/users/role", act="give a role", may=ADMIN, handler=users.give_role, method="POST"),
    Page(path="/users/reset", act="reset a password", may=ADMIN, handler=users.reset, method="POST"),
    Page(path="/users/provider", act="send a user to the provider", may=ADMIN, handler=users.to_provider, method="POST"),
    Page(path="/users/disable", act="disable a user", may=ADMIN, handler=users.disable, method="POST"),
    Page(path="/users/enable", act="enable a user", may=ADMIN, handler=users.enable, method="POST"),
    Page(path="/login", act="see the login form", may=None, handler=login.show),
    Page(path="/login", act="log in", may=None, handler=login.login, method="POST"),
    Page(path="/login/provider", act="go to the provider", may=None, handler=login.to_provider),
    Page(path="/login/back", act="come back from the provider", may=None, handler=login.from_provider),
    Page(path="/logout", act="log out", may=ALL, handler=login.logout, method="POST"),
    Page(path="/welcome", act="open a one-time link", may=None, handler=login.welcome),
    Page(path="/welcome", act="use a one-time link", may=None, handler=login.use_link, method="POST"),
)
