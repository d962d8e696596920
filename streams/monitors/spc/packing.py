"""What is remembered of a station as bytes of JSON, and back; what is at its default is left out. Knows no rule.

Reading raises ValueError for bytes that are none of it, or of another version of this program.
"""

from __future__ import annotations

from pydantic import TypeAdapter

from streams.monitors.spc.course import Course
from streams.monitors.spc.memory import Line, Memory

_MEMORY: TypeAdapter[Memory] = TypeAdapter(Memory)
_LINE: TypeAdapter[Line] = TypeAdapter(Line)
_COURSE: TypeAdapter[Course] = TypeAdapter(Course)


def pack_memory(memory: Memory) -> bytes:
    return _MEMORY.dump_json(memory, exclude_defaults=True)


def pack_line(line: Line) -> bytes:
    return _LINE.dump_json(line, exclude_defaults=True)


def pack_course(course: Course) -> bytes:
    return _COURSE.dump_json(course, exclude_defaults=True)


def memory_of(packed: bytes) -> Memory:
    return _MEMORY.validate_json(packed)


def line_of(packed: bytes) -> Line:
    return _LINE.validate_json(packed)


def course_of(packed: bytes) -> Course:
    return _COURSE.validate_json(packed)
