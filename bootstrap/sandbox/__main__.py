"""Process 1 of a sandbox; started by `Sandbox.up` in new namespaces, of no use otherwise."""

import sys

from bootstrap.sandbox.supervisor import main

main(sys.argv[1])
