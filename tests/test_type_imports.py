"""What is imported for types alone is used in types alone: at run time it is not there."""

from __future__ import annotations

import ast

import pytest

from tests.test_structure import offenders, sources


def type_imports(tree: ast.Module) -> set[str]:
    """Return the names that a module imports under `TYPE_CHECKING`."""
    return {
        (alias.asname or alias.name).split(".")[0]
        for node in tree.body
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for one in node.body
        if isinstance(one, ast.Import | ast.ImportFrom)
        for alias in one.names
    }


def used_at_run_time(tree: ast.Module, names: set[str]) -> set[str]:
    """Return which of the names are used, outside annotations, where they are not imported."""
    found: set[str] = set()
    if not names:
        return found

    def visit(node: ast.AST, absent: set[str]) -> None:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            inner = (one for one in ast.walk(node) if isinstance(one, ast.Import | ast.ImportFrom))
            absent = absent - {a.asname or a.name for one in inner for a in one.names}
            absent -= {argument.arg for argument in ast.walk(node) if isinstance(argument, ast.arg)}
            children = [*node.decorator_list, *node.args.defaults, *node.args.kw_defaults]
            children += node.body
        elif isinstance(node, ast.AnnAssign):
            children = [node.target, node.value]
        else:
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
                found.update({node.id} & absent)
            children = list(ast.iter_child_nodes(node))
        for child in children:
            if child is not None:
                visit(child, absent)

    visit(tree, names)
    return found


def test_types_are_not_used_at_run_time():
    def wrong(path):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        return sorted(used_at_run_time(tree, type_imports(tree)))

    assert offenders(sources(), wrong) == {}


@pytest.mark.parametrize(
    ("code", "used"),
    [
        ("def f(x: A) -> A:\n    y: A = x\n    return y", set()),
        ("def f():\n    return A()", {"A"}),
        ("def f():\n    from b import A\n    return A()", set()),
        ("def f(x=A):\n    return x", {"A"}),
    ],
)
def test_uses_are_found(code, used):
    tree = ast.parse(f"if TYPE_CHECKING:\n    from b import A\n{code}")
    assert used_at_run_time(tree, type_imports(tree)) == used
