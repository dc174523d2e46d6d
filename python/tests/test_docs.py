"""What is written of the package is true: the examples run, and the types name what is there."""

import ast
import doctest
import inspect
import pathlib
import re

import pytest

import heliumdb
from heliumdb import _native

ROOT = pathlib.Path(__file__).resolve().parents[2]
HINTS = pathlib.Path(heliumdb.__file__).with_name("_native.pyi")


def examples(text):
    return re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("name", ["docs/python.md", "README.md", "python/README.md"])
def test_examples_of_a_document(name, tmp_path, monkeypatch):
    """One after the other, in one folder and one namespace."""
    monkeypatch.chdir(tmp_path)
    found = examples((ROOT / name).read_text())
    assert found
    names = {}
    for number, example in enumerate(found, 1):
        exec(compile(example, f"{name}, example {number}", "exec"), names)


def test_the_package_itself_has_an_example():
    assert doctest.testmod(heliumdb).failed == 0


def test_everything_that_is_named_is_there():
    assert sorted(set(heliumdb.__all__)) == sorted(heliumdb.__all__)
    for name in heliumdb.__all__:
        assert getattr(heliumdb, name) is not None
    assert (HINTS.parent / "py.typed").exists()


def hinted():
    """Of each class in the hints, the names of its methods and properties."""
    tree = ast.parse(HINTS.read_text())
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            functions = [item for item in node.body if isinstance(item, ast.FunctionDef)]
            yield node.name, {function.name: function for function in functions}


#: What every class has, or Python makes of what is written.
INHERITED = {"__repr__", "__getattribute__", "__doc__", "__module__", "__class_getitem__", "__weakref__"}


def test_hints_name_what_there_is():
    classes = dict(hinted())
    native = {name: kind for name, kind in vars(_native).items() if inspect.isclass(kind)}
    assert set(classes) == set(native)
    for name, kind in native.items():
        has = {member for member in vars(kind) if member not in INHERITED}
        # Setting and deleting are one slot of a type: who has one seems to have the other.
        if "__delitem__" in classes[name] and "__setitem__" not in classes[name]:
            has.remove("__setitem__")
        # Of a class that nobody can call, too.
        if "__new__" not in classes[name]:
            has.discard("__new__")
        assert has == set(classes[name]), name


def test_hints_have_the_arguments_of_what_there_is():
    for name, methods in hinted():
        for method, function in methods.items():
            found = inspect.unwrap(getattr(getattr(_native, name), method))
            if method.startswith("__") or not callable(found) or function.decorator_list:
                continue
            there = list(inspect.signature(found).parameters)
            arguments = function.args
            named = [a.arg for a in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)]
            named += [arguments.kwarg.arg] if arguments.kwarg else []
            assert named == there, f"{name}.{method}"
            assert inspect.getdoc(found), f"{name}.{method} says nothing of itself"
