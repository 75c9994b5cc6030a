"""Forty source files with tabs: the same ones on every machine, in ten languages that are written with them."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    Writer = Callable[[random.Random], str]

FILES_EACH: Final = 4

_NOUNS = ["account", "buffer", "cache", "client", "event", "frame", "header", "index", "journal", "key", "ledger"]
_NOUNS += ["message", "node", "packet", "queue", "row"]
_VERBS = ["append", "check", "close", "decode", "encode", "fetch", "flush", "load", "merge", "open", "parse", "push"]
_VERBS += ["read", "send", "split", "write"]
_TYPES = ("int", "long", "size_t", "char *", "struct node *")


def _some(rng: random.Random, words: list[str], least: int, most: int) -> list[str]:
    return rng.sample(words, rng.randint(least, most))


def makefile(rng: random.Random) -> str:
    programs = _some(rng, _NOUNS, 3, 5)
    lines = [
        f"# {' and '.join(programs[:2])}: build and install",
        "CC\t?= cc",
        f"CFLAGS\t+= -O2 -Wall\t# -D{programs[0].upper()}_DEBUG",
        f"OBJS\t:= {' '.join(f'{name}.o' for name in programs)}",
        "",
        ".PHONY: all clean",
        f"all: {programs[0]}",
        "",
        f"{programs[0]}: $(OBJS)",
        "\t$(CC) $(CFLAGS) -o $@ $^",
        "",
    ]
    for name in programs:
        lines += [f"{name}.o: {name}.c {name}.h", "\t@echo '  CC\t$@'", "\t@$(CC) $(CFLAGS) -c -o $@ $<", ""]
    lines += ["clean:", "\trm -f $(OBJS) \\", f"\t\t{programs[0]} core.*", ""]
    return "\n".join(lines)


def go(rng: random.Random) -> str:
    noun, *fields = _some(rng, _NOUNS, 4, 6)
    kind = noun.title()
    lines = [f"package {noun}", "", "import (", '\t"errors"', '\t"fmt"', ")", "", f"// {kind} is kept in memory."]
    lines += [f"type {kind} struct {{", *(f'\t{name.title()}\tint64\t`json:"{name}"`' for name in fields), "}", ""]
    for verb, name in zip(_some(rng, _VERBS, 2, 3), fields, strict=False):
        lines += [
            f"func ({noun[0]} *{kind}) {verb.title()}{name.title()}(n int) error {{",
            "\tif n < 0 {",
            f'\t\treturn errors.New("{noun}: n is negative")',
            "\t}",
            f"\tfor i := 0; i < n; i++ {{\t// one {name} at a time",
            f"\t\tswitch {noun[0]}.{name.title()} % 3 {{",
            "\t\tcase 0:",
            f'\t\t\tfmt.Printf("%d\\t%d\\n", i, {noun[0]}.{name.title()})',
            "\t\tdefault:",
            f"\t\t\t{noun[0]}.{name.title()} <<= 1",
            "\t\t}",
            "\t}",
            "\treturn nil",
            "}",
            "",
        ]
    return "\n".join(lines)


def c(rng: random.Random) -> str:
    noun, *others = _some(rng, _NOUNS, 3, 5)
    lines = ["/*", f" * {noun}.c - the {noun} and its {others[0]}", " */", "#include <stdio.h>", "#include <stdlib.h>"]
    lines += ["", f"#define MAX_{noun.upper()}\t{rng.choice((16, 64, 4096))}\t/* per {others[-1]} */", ""]
    lines += [f"struct {noun} {{", *(f"\t{rng.choice(_TYPES)}\t{name};" for name in others), "};", ""]
    for verb in _some(rng, _VERBS, 2, 3):
        lines += [
            f"static int {noun}_{verb}(struct {noun} *p, int n)",
            "{",
            "\tint i;",
            "",
            "\tfor (i = 0; i < n; i++) {",
            f"\t\tif (p[i].{others[0]} == 0 &&",
            f"\t\t    i < MAX_{noun.upper()})",
            "\t\t\tcontinue;",
            f'\t\tprintf("%d\\t%s\\n", i, "{verb}");',
            "\t}",
            "out:",
            "\treturn i ? 0 : -1;",
            "}",
            "",
        ]
    return "\n".join(lines)


def assembly(rng: random.Random) -> str:
    lines = ["\t.intel_syntax noprefix", "\t.text"]
    for verb in _some(rng, _VERBS, 2, 4):
        lines += [f"\t.globl\t{verb}", f"\t.type\t{verb}, @function", f"{verb}:", "\tpush\trbp", "\tmov\trbp, rsp"]
        for step in range(rng.randint(2, 5)):
            register = rng.choice(("eax", "ecx", "edx", "esi"))
            lines.append(f"\t{rng.choice(('mov', 'add', 'xor'))}\t{register}, {rng.randint(1, 255)}\t# step {step}")
        lines += ["\tpop\trbp", "\tret", f"\t.size\t{verb}, .-{verb}", ""]
    return "\n".join(lines)


def shell(rng: random.Random) -> str:
    noun, other = rng.sample(_NOUNS, 2)
    lines = [
        "#!/bin/sh",
        f"# {noun} → {other}",
        "set -eu",
        "",
        "usage() {",
        "\tcat <<-EOF",
        f"\t\tusage: {noun} [-n] DIR",
    ]
    lines += ["", f"\t\t  -n\tonly say what would be done to the {other}", "\tEOF", "\texit 2", "}", ""]
    lines += ['while IFS="\t" read -r name size; do', '\tcase "$name" in']
    for verb in _some(rng, _VERBS, 3, 5):
        lines += [f"\t{verb}*)", f'\t\tprintf \'%s\\t%s\\n\' "$name" "${{size:-0}}" >> "$1/{verb}.tsv"', "\t\t;;"]
    lines += ["\t*) usage ;;", "\tesac", f'done < "$1/{noun}"', ""]
    return "\n".join(lines)


def python(rng: random.Random) -> str:
    noun, *fields = _some(rng, _NOUNS, 3, 5)
    lines = [
        f'"""The {noun}."""',
        "",
        "import sys",
        "",
        "",
        f"class {noun.title()}:",
        f'\tKIND = "{noun}"  # naïve',
        "",
    ]
    for verb, name in zip(_some(rng, _VERBS, 3, 4), [*fields, noun], strict=False):
        lines += [
            f"\tdef {verb}_{name}(self, *, limit=None):",
            f'\t\t"""{verb.title()} the {name}."""',
            "\t\ttry:",
            f"\t\t\twith open(self.{name}) as file:",
            "\t\t\t\tfor line in file:",
            f"\t\t\t\t\tif line.startswith('{name}\\t'):",
            "\t\t\t\t\t\tyield line.rstrip()",
            "\t\texcept OSError as error:",
            '\t\t\tprint(f"{error}", file=sys.stderr)',
            "",
        ]
    return "\n".join(lines)


def javascript(rng: random.Random) -> str:
    noun, *fields = _some(rng, _NOUNS, 3, 5)
    lines = [f"// {noun}: {', '.join(fields)}", "'use strict';", "", f"export class {noun.title()} {{"]
    for verb, name in zip(_some(rng, _VERBS, 3, 3), fields, strict=False):
        lines += [
            "\t/**",
            f"\t * {verb.title()} the {name}.",
            "\t */",
            f"\tasync {verb}({name}) {{",
            f"\t\tconst found = await this.#{name}.get({name} ?? 'none');",
            f"\t\treturn found && {{ ...found, {name}: `${{found}}\t${{{name}.length}}` }};",
            "\t}",
            "",
        ]
    return "\n".join([*lines, "}", ""])


def git_config(rng: random.Random) -> str:
    lines = ["[core]", "\tbare = false", "\tpager = less -x4", "[alias]"]
    lines += [
        f'\t{verb[:2]} = "!f() {{ git {verb} \\"$@\\" | cut -f{rng.randint(1, 4)}; }}; f"\t# {verb}'
        for verb in _some(rng, _VERBS, 4, 6)
    ]
    for noun in _some(rng, _NOUNS, 2, 4):
        lines += [f'[remote "{noun}"]', f"\turl = https://example.org/{noun}.git", f"\tfetch = +refs/*:refs/{noun}/*"]
    return "\n".join(lines) + "\n"


def table(rng: random.Random) -> str:
    columns = _some(rng, _NOUNS, 4, 6)
    lines = ["\t".join(columns)]
    for _ in range(rng.randint(8, 14)):
        cells = [rng.choice((str(rng.randint(0, 99_999)), "", "n/a", "Zürich", "東京", "two words")) for _ in columns]
        lines.append("\t".join(cells))
    return "\n".join(lines) + "\n"


def batch(rng: random.Random) -> str:
    """For Windows: with its line ends, too."""
    noun = rng.choice(_NOUNS)
    lines = ["@echo off", "rem\tsets up the " + noun, "setlocal", ""]
    for verb in _some(rng, _VERBS, 3, 5):
        lines += [
            f":{verb}",
            f"\tif not exist %{noun.upper()}%\\{verb}.txt (",
            f"\t\techo no {verb}\t>&2",
            "\t\tgoto :eof",
        ]
        lines += ["\t)", ""]
    return "\r\n".join([*lines, "endlocal", ""])


LANGUAGES: Final[dict[str, Writer]] = {
    "makefile": makefile,
    "go": go,
    "c": c,
    "assembly": assembly,
    "shell": shell,
    "python": python,
    "javascript": javascript,
    "git config": git_config,
    "table": table,
    "batch": batch,
}


def sources() -> list[str]:
    """Write the forty files, each with tabs and unlike the others."""
    return [
        write(random.Random(f"{language} {number}"))  # noqa: S311 - the same file each time
        for language, write in LANGUAGES.items()
        for number in range(FILES_EACH)
    ]
