"""Single faults that can be put into sources: an operator swapped, a condition negated, an attribute mixed up, ...

A fault replaces one expression or one statement. Docstrings, messages, annotations, imports, decorators and assertions
are left as they are.
"""

from __future__ import annotations

import ast
import random
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

OPERATORS: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Mult,
    ast.Pow: ast.Mult,
    ast.BitOr: ast.BitAnd,
    ast.BitAnd: ast.BitOr,
    ast.LShift: ast.RShift,
    ast.RShift: ast.LShift,
    ast.BitXor: ast.BitOr,
}
COMPARISONS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
FUNCTIONS = {"min": "max", "max": "min", "ceil": "floor", "floor": "ceil", "any": "all", "all": "any"}
FUNCTIONS |= {"minimum": "maximum", "maximum": "minimum", "sum": "prod", "sin": "cos", "cos": "sin"}

SYMMETRIC = {"min", "max", "minimum", "maximum", "hypot", "swapaxes"}
"""Functions for which the order of two arguments means nothing."""


@dataclass(frozen=True)
class Fault:
    """One fault: the text between two places of a file, and what stands there instead.

    Attributes:
        file: relative to the checkout.
        line: the first line of the replaced text, from 1.
        statement: the first line of the statement that it is in.
        function: the outermost function that it is in; empty where it is carried out when the file is imported.
        compiled: whether that function is compiled, so that no coverage is known of its lines.
        start, end: of the replaced text, in bytes.
        kind: what was done.
        before, after: the texts.
    """

    file: str
    line: int
    statement: int
    function: str
    compiled: bool
    start: int
    end: int
    kind: str
    before: str
    after: str

    def applied(self, source: bytes) -> bytes:
        """The file with the fault in it."""
        return source[: self.start] + self.after.encode() + source[self.end :]


class Siblings:
    """Attributes of one class that have the same type."""

    def __init__(self, sources: list[ast.Module]) -> None:
        self._classes: dict[str, dict[str, set[str]]] = {}
        self._bases: dict[str, list[str]] = {}
        for tree in sources:
            for node in ast.walk(tree):
                if isinstance(node, ast.ClassDef):
                    self._class(node)

    def of(self, name: str, within: str | None) -> list[str]:
        """What an attribute could be taken for.

        Args:
            within: the class whose attribute it is; without it, what all classes with such an attribute have.
        """
        if within is not None:
            return sorted(self._inherited(within).get(name, set()))
        known = [siblings[name] for siblings in self._classes.values() if name in siblings]
        return sorted(set.intersection(*known)) if known else []

    def _inherited(self, name: str) -> dict[str, set[str]]:
        found: dict[str, set[str]] = {}
        for base in self._bases.get(name, ()):
            found |= self._inherited(base)
        return found | self._classes.get(name, {})

    def _class(self, node: ast.ClassDef) -> None:
        alike: dict[str, set[str]] = defaultdict(set)
        for each in node.body:
            if isinstance(each, ast.AnnAssign) and isinstance(each.target, ast.Name):
                alike[_kind(each.annotation)].add(each.target.id)
            elif isinstance(each, ast.FunctionDef) and each.name == "__init__":
                for name, kind in _assigned(each):
                    alike[kind].add(name)
            elif isinstance(each, ast.FunctionDef) and each.returns and _is_property(each):
                alike[_kind(each.returns)].add(each.name)
        siblings = self._classes.setdefault(node.name, {})
        self._bases[node.name] = [each.id for each in node.bases if isinstance(each, ast.Name) and each.id != node.name]
        for names in alike.values():
            for name in names:
                siblings[name] = siblings.get(name, set()) | names - {name}


def _kind(annotation: ast.expr) -> str:
    """The type that an annotation tells, without what is said about it and whether it may be absent."""
    match annotation:
        case ast.Subscript(value=ast.Name(id="Annotated"), slice=ast.Tuple(elts=[kind, *_])):
            return _kind(kind)
    return ast.unparse(annotation).replace(" | None", "")


def _is_property(function: ast.FunctionDef) -> bool:
    return any(ast.unparse(each).endswith("property") for each in function.decorator_list)


def _assigned(init: ast.FunctionDef) -> Iterator[tuple[str, str]]:
    """Attributes that a constructor copies from its arguments, with their types."""
    kinds = {each.arg: _kind(each.annotation) for each in init.args.args + init.args.kwonlyargs if each.annotation}
    for node in ast.walk(init):
        if not isinstance(node, ast.Assign):
            continue
        for target in node.targets:
            pairs = [(target, node.value)]
            if isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):
                pairs = list(zip(target.elts, node.value.elts, strict=False))
            for left, right in pairs:
                if isinstance(left, ast.Attribute) and isinstance(right, ast.Name) and right.id in kinds:
                    yield left.attr, kinds[right.id]


def faults(checkout: Path, folders: list[str]) -> list[Fault]:
    """Every fault that can be put into the files of some folders, in order.

    Args:
        folders: relative to the checkout; a file is allowed too.
    """
    chosen = [path for folder in folders for path in _files(checkout / folder)]
    trees = {path: ast.parse(path.read_bytes()) for path in chosen}
    siblings = Siblings(list(trees.values()))
    return [fault for path in chosen for fault in _Places(path, checkout, trees[path], siblings).found]


def _files(folder: Path) -> list[Path]:
    return [folder] if folder.is_file() else sorted(folder.rglob("*.py"))


def is_compiled(function: ast.FunctionDef) -> bool:
    """Whether numba compiles a function."""
    names = [ast.unparse(each).partition("(")[0] for each in function.decorator_list]
    return bool({"compiled", "njit", "intrinsic"} & set(names))


def drawn(among: list[Fault], count: int, seed: int) -> list[Fault]:
    """So many different faults, each as likely as any other."""
    return random.Random(seed).sample(among, min(count, len(among)))


class _Places(ast.NodeVisitor):
    """The places of a file that can be changed."""

    def __init__(self, path: Path, checkout: Path, tree: ast.Module, siblings: Siblings) -> None:
        self._source = path.read_bytes()
        self._file, self._siblings = str(path.relative_to(checkout)), siblings
        self._starts = [0]
        for line in self._source.splitlines(keepends=True):
            self._starts.append(self._starts[-1] + len(line))
        self._together: dict[str, list[str]] = {}
        self._modules: set[str] = set()
        self._class: str | None = None
        self._returns: list[str] = []
        self._functions: list[ast.FunctionDef] = []
        self._statement = 0
        self.found: list[Fault] = []
        self.visit(tree)

    def _put(self, node: ast.expr | ast.stmt, kind: str, after: str) -> None:
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        start = self._starts[node.lineno - 1] + node.col_offset
        end = self._starts[node.end_lineno - 1] + node.end_col_offset
        before = self._source[start:end].decode()
        if isinstance(node, ast.expr) and not isinstance(node, ast.Constant | ast.Name | ast.Attribute | ast.Call):
            after = f"({after})"
        lines = before.count("\n")
        after += "\n" * lines if isinstance(node, ast.stmt) else ""
        function = self._functions[0] if self._functions else None
        place = (
            node.lineno,
            self._statement,
            function.name if function else "",
            bool(function and is_compiled(function)),
        )
        self.found.append(Fault(self._file, *place, start, end, kind, before, after))

    def visit(self, node: ast.AST) -> None:
        if isinstance(node, ast.stmt):
            self._statement = node.lineno
        super().visit(node)

    # ---- what is left as it is -------------------------------------------------------------------------------

    def visit_Import(self, node: ast.Import) -> None:
        self._modules |= {each.asname or each.name for each in node.names}

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        constants = [each.name for each in node.names if each.name.isupper() and not each.asname]
        for name in constants:
            self._together[name] = [other for other in constants if other != name]

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        if node.name == "__repr__":
            return
        for each in [*node.args.defaults, *filter(None, node.args.kw_defaults)]:
            self.visit(each)
        self._returns.append(ast.unparse(node.returns) if node.returns else "")
        self._functions.append(node)
        for each in node.body:
            self.visit(each)
        self._functions.pop()
        self._returns.pop()

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        self._class = node.name
        for each in node.body:
            self.visit(each)
        self._class = None

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.value is not None:
            self.visit(node.value)

    def visit_Assert(self, node: ast.Assert) -> None:
        pass

    def visit_JoinedStr(self, node: ast.JoinedStr) -> None:
        pass

    # ---- statements ------------------------------------------------------------------------------------------

    def visit_Raise(self, node: ast.Raise) -> None:
        self._put(node, "statement deleted", "pass")

    def visit_Expr(self, node: ast.Expr) -> None:
        if isinstance(node.value, ast.Call):
            self._put(node, "statement deleted", "pass")
            self.visit(node.value)
        elif not isinstance(node.value, ast.Constant):
            self.visit(node.value)

    def visit_Assign(self, node: ast.Assign) -> None:
        names = [each.id for each in node.targets if isinstance(each, ast.Name)]
        if {"__slots__", "__all__"} & set(names) or _is_alias(node):
            return
        if all(isinstance(each, ast.Attribute | ast.Subscript) for each in node.targets):
            self._put(node, "statement deleted", "pass")
        self.generic_visit(node)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        self._put(node, "statement deleted", "pass")
        if type(node.op) in OPERATORS:
            changed = ast.AugAssign(node.target, OPERATORS[type(node.op)](), node.value)
            self._put(node, "operator swapped", ast.unparse(changed))
        self.generic_visit(node)

    def visit_Continue(self, node: ast.Continue) -> None:
        self._put(node, "statement deleted", "pass")

    def visit_Break(self, node: ast.Break) -> None:
        self._put(node, "statement deleted", "pass")

    def visit_If(self, node: ast.If) -> None:
        if ast.unparse(node.test) != "TYPE_CHECKING":
            self._negate(node.test)
            self.generic_visit(node)

    def visit_While(self, node: ast.While) -> None:
        self._negate(node.test)
        self.generic_visit(node)

    def visit_Return(self, node: ast.Return) -> None:
        if node.value is None:
            return
        value, kind = ast.unparse(node.value), self._returns[-1]
        after = {"bool": f"not ({value})", "int": f"({value}) + 1", "float": f"2 * ({value})"}.get(kind, "None")
        if after != value:
            self._put(node, "return value changed", f"return {after}")
        self.visit(node.value)

    # ---- expressions -----------------------------------------------------------------------------------------

    def _negate(self, test: ast.expr) -> None:
        self._put(test, "condition negated", f"not ({ast.unparse(test)})")

    def visit_IfExp(self, node: ast.IfExp) -> None:
        self._negate(node.test)
        self.generic_visit(node)

    def visit_comprehension(self, node: ast.comprehension) -> None:
        for test in node.ifs:
            self._negate(test)
        self.generic_visit(node)

    def visit_BinOp(self, node: ast.BinOp) -> None:
        if type(node.op) in OPERATORS:
            changed = ast.BinOp(node.left, OPERATORS[type(node.op)](), node.right)
            self._put(node, "operator swapped", ast.unparse(changed))
        self.generic_visit(node)

    def visit_Compare(self, node: ast.Compare) -> None:
        for i, each in enumerate(node.ops):
            ops = [*node.ops[:i], COMPARISONS[type(each)](), *node.ops[i + 1 :]]
            self._put(node, "comparison moved", ast.unparse(ast.Compare(node.left, ops, node.comparators)))
        self.generic_visit(node)

    def visit_BoolOp(self, node: ast.BoolOp) -> None:
        changed = ast.BoolOp(ast.Or() if isinstance(node.op, ast.And) else ast.And(), node.values)
        self._put(node, "operator swapped", ast.unparse(changed))
        self.generic_visit(node)

    def visit_UnaryOp(self, node: ast.UnaryOp) -> None:
        if isinstance(node.op, ast.USub | ast.Not):
            self._put(node, "operator dropped", ast.unparse(node.operand))
        self.generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> None:
        value = node.value
        if isinstance(value, bool):
            self._put(node, "constant changed", str(not value))
        elif isinstance(value, int):
            self._put(node, "constant changed", str(value + 1))
        elif isinstance(value, float):
            self._put(node, "constant changed", repr(2 * value if value else 1.0))

    def visit_Attribute(self, node: ast.Attribute) -> None:
        owner = ast.unparse(node.value)
        if isinstance(node.ctx, ast.Load) and owner not in self._modules:
            self._one_of(
                node,
                "attribute exchanged",
                self._siblings.of(node.attr, self._class if owner == "self" else None),
                f"{owner}.",
            )
        self.visit(node.value)

    def visit_Name(self, node: ast.Name) -> None:
        if isinstance(node.ctx, ast.Load):
            self._one_of(node, "constant exchanged", self._together.get(node.id, []))

    def _one_of(self, node: ast.expr, kind: str, texts: list[str], start: str = "") -> None:
        """A place with several faults has one of them, always the same."""
        if texts:
            self._put(node, kind, start + random.Random(f"{self._file} {node.lineno} {node.col_offset}").choice(texts))

    def visit_Call(self, node: ast.Call) -> None:
        name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
        if name in FUNCTIONS and (isinstance(node.func, ast.Name) or ast.unparse(node.func.value) == "np"):  # type: ignore[attr-defined]
            start = "np." if isinstance(node.func, ast.Attribute) else ""
            self._put(node, "function exchanged", ast.unparse(_call(node, ast.Name(start + FUNCTIONS[name]))))
        plain = node.args and not any(isinstance(each, ast.Starred) for each in node.args) and name not in SYMMETRIC
        swapped = [
            [*node.args[:i], node.args[i + 1], node.args[i], *node.args[i + 2 :]]
            for i in range(len(node.args) - 1 if plain else 0)
            if ast.unparse(node.args[i]) != ast.unparse(node.args[i + 1])
        ]
        self._one_of(
            node, "arguments swapped", [ast.unparse(ast.Call(node.func, args, node.keywords)) for args in swapped]
        )
        for i, each in enumerate(node.keywords):
            if each.arg not in (None, "description"):
                rest = node.keywords[:i] + node.keywords[i + 1 :]
                self._put(node, "argument dropped", ast.unparse(ast.Call(node.func, node.args, rest)))
        self.generic_visit(node)


def _call(node: ast.Call, func: ast.expr) -> ast.Call:
    return ast.Call(func, node.args, node.keywords)


def _is_alias(node: ast.Assign) -> bool:
    """Whether a name of a type is introduced."""
    return isinstance(node.value, ast.Subscript) and "Annotated" in ast.unparse(node.value)
