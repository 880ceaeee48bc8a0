# Read by every tcsh, also without a terminal: what a careless rc file does to a program that reads the output.
echo "tcsh says hello on stdout"
