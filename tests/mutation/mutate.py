"""Small random changes to the source of a component: what a slip of the hand would do.

Only what builds hardware is changed: the methods of the component's class but `__init__`, and the
functions of its module. Every change is of one place and of one kind.
"""

from __future__ import annotations

import ast
import functools
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

BINARY = {
    ast.Add: (ast.Sub,),
    ast.Sub: (ast.Add,),
    ast.BitAnd: (ast.BitOr,),
    ast.BitOr: (ast.BitAnd,),
    ast.BitXor: (ast.BitOr,),
    ast.LShift: (ast.RShift,),
    ast.RShift: (ast.LShift,),
    ast.Mult: (ast.Add,),
    ast.FloorDiv: (ast.Mult,),
}
COMPARED = {
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
}
GUARDS = ("If", "Elif")
VALUE = ast.parse("Value.cast", mode="eval").body


@dataclass(frozen=True, kw_only=True, slots=True)
class Mutant:
    """The module of a component with one place changed."""

    kind: str
    """What was done."""
    place: str
    """The smallest assignment, condition or statement around the place, before and after."""
    _write: Callable[[], str]
    """Writes the whole module."""

    @property
    def source(self) -> str:
        """The whole module, written when it is asked for: most mutants are only counted."""
        return self._write()

    @property
    def name(self) -> str:
        """Kind and place: the same whatever stands elsewhere in the module."""
        return f"{self.kind}: {self.place}"


@dataclass(frozen=True, kw_only=True, slots=True)
class _Change:
    kind: str
    node: ast.AST
    apply: Callable[[], Callable[[], None]]
    """Change the tree that the node belongs to; return what undoes it."""


def _is_call(node: ast.AST, *names: str) -> bool:
    if not isinstance(node, ast.Call):
        return False
    function = node.func
    called = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
    return called in names


def _replaced(kind: str, node: ast.AST, field: str, value: object) -> _Change:
    def apply() -> Callable[[], None]:
        before = getattr(node, field)
        setattr(node, field, value)
        return lambda: setattr(node, field, before)

    return _Change(kind=kind, node=node, apply=apply)


def _changes_of(node: ast.AST) -> Iterator[_Change]:
    """Yield the changes whose place is this node."""
    match node:
        case ast.BinOp():
            for other in BINARY.get(type(node.op), ()):
                yield _replaced("operator", node, "op", other())
        case ast.Compare(ops=[op]):
            for other in COMPARED.get(type(op), ()):
                yield _replaced("comparison", node, "ops", [other()])
        case ast.Constant(value=int(value)) if not isinstance(value, bool):
            for changed in (value + 1, value - 1):
                yield _replaced("constant", node, "value", changed)
        case ast.Call(func=ast.Attribute(attr="any" | "all" as attr)):
            other = "all" if attr == "any" else "any"
            yield _replaced("reduction", node.func, "attr", other)
        case ast.Call() if _is_call(node, "Mux") and len(node.args) == 3:
            yield _replaced("arms", node, "args", [node.args[0], node.args[2], node.args[1]])
        case ast.Call() if _is_call(node, *GUARDS):
            inverted = ast.Compare(node.args[0], [ast.Eq()], [ast.Constant(0)])
            yield _replaced("inverted condition", node, "args", [inverted])
            yield _replaced("dropped guard", node, "args", [ast.Constant(1)])
        case ast.Call() if _is_call(node, "Signal") and node.args:
            (width, *rest) = node.args
            if _is_call(width, "range"):
                half = ast.BinOp(width.args[-1], ast.FloorDiv(), ast.Constant(2))
                narrow = ast.Call(width.func, [*width.args[:-1], half], [])
            else:
                narrow = ast.BinOp(width, ast.Sub(), ast.Constant(1))
            yield _replaced("width", node, "args", [narrow, *rest])
        case ast.UnaryOp(op=ast.Invert()):
            yield _replaced(
                "dropped inversion", node, "operand", ast.UnaryOp(ast.Invert(), node.operand)
            )
        case ast.Call() if _is_call(node, "eq") and len(node.args) == 1:
            inverted = ast.UnaryOp(ast.Invert(), ast.Call(VALUE, [node.args[0]], []))
            yield _replaced("inverted value", node, "args", [inverted])
        case ast.keyword(arg="depth" | "width" | "granularity"):
            for op in (ast.Add(), ast.Sub()):
                other = ast.BinOp(node.value, op, ast.Constant(1))
                yield _replaced("size", node, "value", other)
        case ast.List(elts=[_, _, *_] as elements) if all(_is_call(e, "eq") for e in elements):
            for this, other in zip(elements, elements[1:] + elements[:1], strict=True):
                if ast.dump(this.args[0]) != ast.dump(other.args[0]):
                    yield _replaced("another's value", this, "args", other.args)
    # assignments to signals, one by one
    for field, values in ast.iter_fields(node):
        for index, value in enumerate(values if isinstance(values, list) else ()):
            rest = [*values[:index], *values[index + 1 :]]
            if isinstance(node, ast.List) and _is_call(value, "eq"):
                dropped = _replaced("dropped assignment", node, field, rest)
                yield _Change(kind=dropped.kind, node=value, apply=dropped.apply)
            if isinstance(value, ast.AugAssign) and _is_call(value.value, "eq"):
                empty = ast.AugAssign(value.target, value.op, ast.List([], ast.Load()))
                without = [*values[:index], empty, *values[index + 1 :]]
                dropped = _replaced("dropped assignment", node, field, without)
                yield _Change(kind=dropped.kind, node=value, apply=dropped.apply)


def _hardware(tree: ast.Module, component: str) -> Iterator[ast.AST]:
    """Yield the bodies that build hardware."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef):
            yield from node.body
        if isinstance(node, ast.ClassDef) and node.name == component:
            for method in node.body:
                if isinstance(method, ast.FunctionDef) and method.name != "__init__":
                    yield from method.body


def _changes(tree: ast.Module, component: str) -> Iterator[tuple[_Change, ast.AST]]:
    """Yield every change, and the smallest thing around it that names it."""

    def walk(node: ast.AST, around: ast.AST) -> Iterator[tuple[_Change, ast.AST]]:
        if isinstance(node, ast.stmt) and not isinstance(node, ast.With):
            around = node
        if _is_call(node, "eq", *GUARDS):
            around = node
        for change in _changes_of(node):
            inner = isinstance(change.node, ast.Call) and _is_call(change.node, "eq")
            yield change, change.node if inner else around
        for child in ast.iter_child_nodes(node):
            yield from walk(child, around)

    for statement in _hardware(tree, component):
        if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant):
            continue  # a docstring
        yield from walk(statement, statement)


def _short(node: ast.AST) -> str:
    if isinstance(node, (ast.With, ast.For, ast.If)):
        return ast.unparse(node).splitlines()[0]
    return " ".join(ast.unparse(node).split())


def _written(tree: ast.Module, change: _Change) -> str:
    """Return the text of a module with a change, which the tree is without."""
    undo = change.apply()
    source = ast.unparse(ast.fix_missing_locations(tree))
    undo()
    imports = "from amaranth.hdl import Value\n"
    end = source.index("from __future__ import annotations\n") + 35
    return source[:end] + imports + source[end:]


def mutants(path: Path, component: str, seed: int) -> Iterator[Mutant]:
    """Yield all mutants of a component, in a random order that the seed decides.

    Parameters
    ----------
    path
        Source of the component's module.
    component
        Name of its class.
    seed
        Of the order.
    """
    tree = ast.parse(path.read_text(encoding="utf-8"))
    changes = list(_changes(tree, component))
    random.Random(seed).shuffle(changes)
    seen: dict[str, int] = {}
    for change, around in changes:
        before = _short(around)
        undo = change.apply()
        after = "nothing" if change.kind == "dropped assignment" else _short(around)
        place = f"{before}  ->  {after}"
        repeated = seen.setdefault(f"{change.kind}: {place}", 0)
        seen[f"{change.kind}: {place}"] += 1
        if repeated:
            place += f"  (place {repeated + 1})"
        undo()
        write = functools.partial(_written, tree, change)
        yield Mutant(kind=change.kind, place=place, _write=write)
