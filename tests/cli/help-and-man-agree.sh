#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The program, its manual pages and its bash completion tell the same story:
#
#	commands, their usage, summary, options and mdadm's spelling
#				mdcluster CMD --help  =  mdcluster(8)
#	options, short and long	mdcluster CMD --help  =  tools/completion
#	message ids, levels, words	the sources  =  mdcluster-messages(7)
#	kinds of events		the sources  =  mdcluster-events(7)
#	methods of the socket	the sources  =  mdclusterd-protocol(7)
#	the pages are well formed, as far as groff, man and mandoc can tell
# shellcheck source=tests/cli/functions.sh
. "$(dirname "$0")/functions.sh"

page=$srcdir/man/mdcluster.8
messages=$srcdir/man/mdcluster-messages.7
completion=$srcdir/tools/completion/mdcluster
failures=0

complain()
{
	printf '%s: %s\n' "$test_name" "$*" >&2
	failures=$((failures + 1))
}

# same WHAT LEFT_NAME LEFT_FILE RIGHT_NAME RIGHT_FILE: two sorted lists
same()
{
	local line

	while IFS= read -r line; do
		complain "$1: only in $2: $line"
	done < <(comm -23 "$3" "$5")
	while IFS= read -r line; do
		complain "$1: only in $4: $line"
	done < <(comm -13 "$3" "$5")
}

# Man source to plain words: no fonts, no macros for fonts, no comments.
plain()
{
	sed -e '/^\.\\"/d' -e 's/\\f[BIRP]//g' -e 's/\\-/-/g' -e 's/\\&//g' \
		-e "s/\\\\(aq/'/g" \
		-e 's/^\.\(B\|I\|BR\|RB\|BI\|IB\|RI\|IR\) /@/' "$1"
}

# What stands under the .SS whose heading begins with the word $1.
section()
{
	plain "$page" | awk -v wanted="$1" '
		/^\.S[SH]/ {
			heading = $0
			sub(/^\.S[SH] /, "", heading)
			gsub(/"/, "", heading)
			split(heading, words, " ")
			is_here = /^\.SS/ && words[1] == wanted
			if (is_here)
				print heading
			next
		}
		is_here'
}

# Options of a section, one a line, "-l,--level=LEVEL".
page_options()
{
	awk '/^\.TP/ { is_tag = 1; next }
	     is_tag && /^@?-/ { gsub(/[@" ]/, ""); print }
	     { is_tag = 0 }'
}

help_options()
{
	sed -nE 's/^  (-[A-Za-z]|  ) ?,? ?(.*)/\1\2/p' "$1" |
		sed -E 's/^ *//; s/^(-[A-Za-z]),? *--/\1,--/; s/ .*//'
}

# --- commands -------------------------------------------------------------------
mdcluster help >overview
sed -n 's/^  \([a-z-]*\)  *.*/\1/p' overview | sort >commands.help
plain "$page" | sed -n 's/^\.SS "\{0,1\}\([a-z][a-z-]*\).*/\1/p' | sort >commands.page
same "command" "'mdcluster help'" commands.help "mdcluster.8" commands.page
[ -s commands.help ] || fail "'mdcluster help' lists no command"

section Options | page_options | sort >common.page
[ -s common.page ] || fail "mdcluster.8 has no section 'Options of every command'"
: >longs.known

while read -r command; do
	case $command in
	help | version) continue ;;
	esac
	mdcluster "$command" --help >text || fail "mdcluster $command --help"
	section "$command" >page.section

	# usage, summary, and the summary of the overview
	usage=$(sed -n '1s/^Usage: mdcluster //p' text)
	summary=$(sed -n 2p text)
	expect_equal "usage of $command on the page" "$usage" "$(sed -n 1p page.section)"
	expect_equal "summary of $command on the page" "$summary" \
		"$(sed -n 2p page.section)"
	expect_equal "summary of $command in the overview" "$summary" \
		"$(sed -n "s/^  $command  *//p" overview)"

	# mdadm's spelling
	grep -E "^mdadm's spelling" text | sed -E 's/.*: (--[a-z-]+( or -[A-Za-z])?) .*/\1/' \
		>spelling.help || :
	grep -E "^mdadm's spelling" page.section | sed -E 's/.*: (.*)\./\1/' \
		>spelling.page || :
	same "$command: mdadm's spelling" --help spelling.help page spelling.page

	# options
	help_options text | sort >options.help
	page_options <page.section | sort - common.page >options.page
	[ -s options.help ] || fail "no options found in mdcluster $command --help"
	same "option of $command" --help options.help mdcluster.8 options.page
	sed 's/.*--/--/; s/=.*//' options.help >>longs.known
	sed 's/^.*: //; s/ or .*//' spelling.help >>longs.known

	# completion: each spelling of each option by itself
	sed 's/=.*//' options.help | tr ',' '\n' | sort >words.help
	(
		# shellcheck source=/dev/null
		. "$completion"
		COMP_WORDS=(mdcluster "$command" -)
		COMP_CWORD=2
		_mdcluster
		printf '%s\n' ${COMPREPLY[@]+"${COMPREPLY[@]}"}
	) | sort >words.completion
	same "option of $command" --help words.help completion words.completion

	# ... and knows which of them take a value
	while read -r option; do
		value=no
		case $option in *=*) value=yes ;; esac
		for word in $(echo "${option%%=*}" | tr ',' ' '); do
			completed=$(
				# shellcheck source=/dev/null
				. "$completion"
				if _mdcluster_takes_value "$word" "$command"; then
					echo yes
				else
					echo no
				fi
			)
			[ "$completed" = "$value" ] ||
				complain "$command $word takes a value: --help says $value, completion $completed"
		done
	done <options.help
done <commands.help

(
	# shellcheck source=/dev/null
	. "$completion"
	COMP_WORDS=(mdcluster "")
	COMP_CWORD=1
	_mdcluster
	printf '%s\n' ${COMPREPLY[@]+"${COMPREPLY[@]}"}
) | grep -v '^-' | sort >commands.completion
same command "'mdcluster help'" commands.help completion commands.completion

# --- no option is made up in the prose ---------------------------------------
# COMPATIBILITY speaks of mdadm's own options; jq and others have short ones here
printf '%s\n' --version --help >>longs.known
sort -u longs.known >longs.known.sorted
plain "$page" | sed '/^\.SH COMPATIBILITY/,/^\.SH "SEE ALSO"/d' |
	grep -oE -e '--[a-z][a-z-]*' | sort -u >longs.page
comm -13 longs.known.sorted longs.page >longs.unknown
while read -r option; do
	complain "mdcluster.8 names $option, which no command has"
done <longs.unknown

# --- messages -------------------------------------------------------------------
# The sources of the rooms: not tests, builds and unpacked releases within.
# shellcheck disable=SC2154 # builddir: functions.sh
find "$srcdir" -mindepth 1 \( -path "$srcdir/tests" -o -path "$srcdir/build*" \
	-o -path "$srcdir/mdclusterd-*" -o \( -path "$builddir" \
	-not -path "$srcdir" \) -o -name '.*' \) -prune \
	-o -name '*.c' -print | sort >sources
[ -s sources ] || fail "no source found in $srcdir"

# One line a message: id, level, format string with its pieces joined.
xargs -d '\n' cat <sources |
	tr '\n\t' '  ' |
	grep -oE 'log_(error|warning|notice|info)\( *"MDC[0-9]{4}", *("([^"\\]|\\.)*" *(PRI[A-Za-z0-9]+ *)?)+' |
	sed -E 's/^log_([a-z]+)\( *"(MDC[0-9]{4})", *"(.*)" *$/\2 \1 \3/
		s/" *PRI[A-Za-z0-9]+ *"?//g; s/" *"//g' | sort -u >messages.source
[ -s messages.source ] || fail "no message found in the sources"

cut -d' ' -f1,2 messages.source | sort -u >ids.source
plain "$messages" | sed -nE 's/^@(MDC[0-9]{4}) +"? ?\(([a-z]+)\)"?$/\1 \2/p' |
	sort >ids.page
same message "the sources" ids.source "mdcluster-messages.7" ids.page
cut -d' ' -f1 ids.source | uniq -d >ids.twice
while read -r id; do
	complain "$id has two levels in the sources"
done <ids.twice
sort ids.page | uniq -d | while read -r id level; do
	echo "$id ($level) stands twice in mdcluster-messages.7"
done >twice
[ ! -s twice ] || complain "$(cat twice)"

# every id, in whatever shape it stands in the sources, must have been found
xargs -d '\n' grep -hoE '"MDC[0-9]{4}"' <sources |
	tr -d '"' | sort -u >ids.quoted
cut -d' ' -f1 messages.source | sort -u >ids.parsed
same "id of a message" "a string of the sources" ids.quoted \
	"a call of log_*()" ids.parsed

# the words of each message, between what varies, stand in its entry
while read -r id level format; do
	entry=$(plain "$messages" | awk -v id="$id" '
		/^@MDC/ { is_here = index($0, "@" id) == 1; next }
		is_here && /^\.RS/ { exit }
		is_here { gsub(/["@]/, ""); gsub(/  +/, " "); print }')
	printf '%s\n' "$format" |
		sed -E 's/%[-+ #0-9.*]*(hh|h|ll|l|j|z|t)?[a-zA-Z]/\n/g' |
		sed -E 's/^ +//; s/ +$//; /^[[:punct:]]*$/d' >fragments
	while IFS= read -r fragment; do
		case $entry in
		*"$fragment"*) ;;
		*) complain "$id ($level): mdcluster-messages.7 lacks the words '$fragment'" ;;
		esac
	done <fragments
done <messages.source

# every entry says what to do
plain "$messages" | awk '
	/^@MDC/ { if (id && parts != 2) print id; id = substr($1, 2, 7); parts = 0 }
	/^(Cause|Action)$/ { parts++ }
	END { if (id && parts != 2) print id }' >incomplete
while read -r id; do
	complain "$id: mdcluster-messages.7 does not give one Cause and one Action"
done <incomplete

# --- events and methods: each has its entry, and none is made up ----------------------------
# Kinds: a table of names, and the calls that tell one of the cluster.
cat "$srcdir"/mdclusterd/*/*.c | tr '\n\t' '  ' >daemon.source
{
	grep -oE '\[ARRAY_EVENT_[A-Z_]+\] = "[a-z_]+"' daemon.source
	grep -oE 'engine_tell(_disk)?\([^;]*;' daemon.source |
		grep -oE 'LOG_[A-Z]+,[^"]*"[a-z_-]+"( : "[a-z_-]+")?'
} | grep -oE '"[a-z_-]+"' | tr -d '"' | sort -u >kinds.source
plain "$srcdir/man/mdcluster-events.7" | sed -nE 's/^@([a-z_-]+) "? ?\([a-z]+.*/\1/p' | sort >kinds.page
[ "$(wc -l <kinds.source)" -ge 20 ] || fail "the kinds of events are not found"
same "event" "the sources" kinds.source "mdcluster-events.7" kinds.page

sed -nE 's/^.*"method ([A-Za-z]+)\(.*/\1/p' "$srcdir/mdclusterd/control/interface.c" | sort >methods.source
plain "$srcdir/man/mdclusterd-protocol.7" | sed -nE 's/^@([A-Z][A-Za-z]+)\(.*/\1/p' | sort >methods.page
same "method" "interface.c" methods.source "mdclusterd-protocol.7" methods.page
plain "$srcdir/man/mdclusterd-protocol.7" | sed -n '/^\.SS "That read"/,/^\.SS "That change/p' |
	sed -nE 's/^@([A-Z][A-Za-z]+)\(.*/\1/p' | sort >reads.page
grep -oE '\bREAD\("[A-Za-z]+"' "$srcdir/mdclusterd/daemon/methods.c" | tr -d '"' |
	sed 's/READ(//' | sort >reads.source
same "method that reads" "methods.c" reads.source "mdclusterd-protocol.7" reads.page

# --- the pages themselves ------------------------------------------------------
for file in "$srcdir"/man/*.[1-9]; do
	name=$(basename "$file")
	: >warnings
	if command -v groff >/dev/null; then
		groff -wall -man -Tutf8 -z "$file" >>warnings 2>&1 || :
	fi
	if command -v man >/dev/null; then
		LC_ALL=C.UTF-8 MANWIDTH=80 man --warnings -l "$file" \
			>/dev/null 2>>warnings || :
	fi
	if command -v mandoc >/dev/null; then
		# our lines have 100 columns in all files
		mandoc -Tlint "$file" 2>&1 | grep -v "input text line longer than 80 bytes" \
			>>warnings || :
	fi
	while IFS= read -r line; do
		complain "$name: $line"
	done <warnings
done

[ "$failures" -eq 0 ] || fail "$failures differences"
