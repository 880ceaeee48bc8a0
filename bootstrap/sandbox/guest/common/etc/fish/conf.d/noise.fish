# Read by every fish, also without a terminal: what a careless rc file does to a program that reads the output.
echo "fish says hello on stdout"
echo "fish grumbles on stderr" >&2
