#!/usr/bin/env python3
"""Turns Debian's package index into what `raft-ctl import` reads.

    apt-cache dumpavail | tools/debian-index.py > packages.jsonl

One JSON object on a line for each package: its name is the key, its stanza the value. Of a
package that appears more than once the last stanza counts. The lines are sorted by key, as
`raft-ctl export` writes them.
"""

import io
import json
import sys


def stanzas(lines):
    """The stanzas of the index: groups of lines with an empty one between them."""
    stanza = []
    for line in lines:
        if line.strip():
            stanza.append(line)
        elif stanza:
            yield "".join(stanza)
            stanza = []
    if stanza:
        yield "".join(stanza)


def name(stanza):
    """The package that the stanza describes."""
    for line in stanza.split("\n"):
        if line.startswith("Package:"):
            return line.removeprefix("Package:").strip()
    sys.exit(f"a stanza names no package:\n{stanza}")


def main():
    index = io.TextIOWrapper(sys.stdin.buffer, encoding="utf-8", errors="replace", newline="\n")
    packages = {name(stanza): stanza for stanza in stanzas(index)}
    for key in sorted(packages, key=str.encode):
        json.dump({"key": key, "value": packages[key]}, sys.stdout, ensure_ascii=False)
        print()


if __name__ == "__main__":
    main()
