# Runs the phases of a buildspec as CodeBuild does. Conveyor has written it.
#
# There are two of it. The first, below "watch", starts the second, which is the one shell in which all commands run. When
# a command ends that shell (exit, set -e, a mistake in its syntax), the first starts another one, which goes on after that
# command, with the variables and the folder from before it.
set +eu
case ${1-} in
watch) ;;
commands)
	cv_dir=$2 cv_how=$3 cv_status=$4
	set --
	cv_date=$(command -v date) cv_grep=$(command -v grep) cv_mkfifo=$(command -v mkfifo)
	cv_tee=$(command -v tee) cv_sleep=$(command -v sleep) cv_rm=$(command -v rm) cv_cat=$(command -v cat)
	cv_say() { printf '[Container] %s %s\n' "$("$cv_date" -u '+%Y/%m/%d %H:%M:%S')" "$*"; }

	# What the buildspec says: its variables, its commands, and what comes after what.
	#@variables
	cv_command() {
		case $cv_phase/$cv_part/$cv_n in
		#@commands
		*) return 1 ;;
		esac
	}
	cv_after() {
		case $cv_phase/$cv_result in
		#@after
		esac
	}
	cv_retries() { # how often a phase is tried again, and what its error must match
		cv_most=0 cv_match=
		case $cv_phase in
		#@retries
		esac
	}
	cv_runtimes() {
		#@runtimes
		:
	}
	cv_words() { # what a shell fills in when the build is over
		#@words
		:
	}

	cv_enter() { # a try of a phase
		cv_part=commands cv_n=0 cv_bad=0 cv_code=0 cv_badpart=- cv_badn=0 cv_matches=0
		cv_began=$("$cv_date" +%s)
		cv_say "Entering phase $cv_phase"
		if [ "$cv_phase/$cv_try" = INSTALL/1 ]; then cv_runtimes; fi
	}
	cv_save() { # what another shell needs to go on
		{
			printf 'cv_phase=%s cv_try=%s cv_part=%s cv_n=%s cv_bad=%s cv_code=%s cv_badpart=%s cv_badn=%s\n' \
				"$cv_phase" "$cv_try" "$cv_part" "$cv_n" "$cv_bad" "$cv_code" "$cv_badpart" "$cv_badn"
			printf 'cv_began=%s cv_end=%s cv_matches=%s\n' "$cv_began" "$cv_end" "$cv_matches"
		} >"$cv_dir/state"
		export -p >"$cv_dir/env"
		pwd >"$cv_dir/folder"
		echo running >"$cv_dir/now"
	}
	cv_leave() { # the end of a try: tell it, record it, and go where the transitions lead
		cv_result=SUCCEEDED
		if [ "$cv_bad" = 1 ]; then cv_result=FAILED; fi
		cv_after
		cv_say "Phase complete: $cv_phase State: $cv_label"
		if [ "$cv_bad" = 1 ]; then
			cv_say "Phase context status code: COMMAND_EXECUTION_ERROR Message: Error while executing command: $cv_badcmd. Reason: exit status $cv_code"
		else
			cv_say "Phase context status code:  Message: "
		fi
		printf '%s %s %s %s %s %s %s %s %s\n' "$cv_phase" "$cv_try" "$cv_result" "$cv_matches" "$cv_began" "$("$cv_date" +%s)" "$cv_code" "$cv_badpart" "$cv_badn" >>"$cv_dir/phases"
		cv_retries
		if [ "$cv_bad" = 1 ] && [ "$cv_try" -le "$cv_most" ] && [ "$cv_matches" = 1 ]; then
			cv_try=$((cv_try + 1))
			cv_say "Retrying phase $cv_phase, try $cv_try of at most $((cv_most + 1))"
			cv_enter
			return
		fi
		if [ "$cv_bad" = 1 ]; then
			export CODEBUILD_BUILD_SUCCEEDING=0
			if [ "$cv_end" = 0 ]; then cv_end=$cv_code; fi
		fi
		cv_phase=$cv_next cv_try=1
		case $cv_phase in
		INSTALL | PRE_BUILD | BUILD | POST_BUILD) cv_enter ;;
		*) cv_over=1 ;;
		esac
	}
	cv_pick() { # the next command, and the ends of phases on the way to it
		while :; do
			cv_n=$((cv_n + 1))
			if cv_command; then
				cv_say "Running command $cv_cmd"
				cv_save
				return 0
			fi
			if [ "$cv_part" = commands ]; then
				cv_part=finally cv_n=0
				continue
			fi
			cv_leave
			if [ -n "${cv_over-}" ]; then return 1; fi
		done
	}
	cv_listen() { # where the error must match something, what the command prints is kept beside the log
		cv_retries
		if [ -z "$cv_match" ]; then return; fi
		"$cv_rm" -f "$cv_dir/pipe" "$cv_dir/said" "$cv_dir/heard"
		"$cv_mkfifo" "$cv_dir/pipe" || return
		({
			"$cv_tee" "$cv_dir/said" <"$cv_dir/pipe"
			: >"$cv_dir/heard"
		} &) # in brackets, for $! is the commands' own
		cv_ear=1
		exec 8>&1 9>&2 >"$cv_dir/pipe" 2>&1
	}
	cv_hear() {
		if [ -z "${cv_ear-}" ]; then return; fi
		exec >&8 2>&9 8>&- 9>&-
		cv_await
		cv_ear=
	}
	cv_await() {
		cv_wait=0 # what a command has left running may hold the pipe open for ever
		while [ ! -e "$cv_dir/heard" ] && [ "$cv_wait" -lt 100 ]; do
			"$cv_sleep" 0.02
			cv_wait=$((cv_wait + 1))
		done
	}
	cv_judge() { # how the command ended
		echo between >"$cv_dir/now"
		if [ "$cv_status" = 0 ]; then return; fi
		cv_say "Command did not exit successfully $cv_cmd exit status $cv_status"
		if [ "$cv_bad" = 0 ]; then
			cv_bad=1 cv_code=$cv_status cv_badpart=$cv_part cv_badn=$cv_n cv_badcmd=$cv_cmd
			cv_retries
			if [ -z "$cv_match" ] || { "$cv_cat" "$cv_dir/said" 2>/dev/null; printf 'Error while executing command: %s. Reason: exit status %s\n' "$cv_cmd" "$cv_status"; } | "$cv_grep" -Eq -e "$cv_match"; then
				cv_matches=1
			fi
		fi
		cv_n=1000000 # the rest of the list is left out
	}

	case $cv_how in
	first)
		cv_phase=INSTALL cv_try=1 cv_end=0
		cv_set
		export CODEBUILD_BUILD_SUCCEEDING=1
		cv_enter
		;;
	again)
		. "$cv_dir/env"
		cd "$("$cv_cat" "$cv_dir/folder")" || exit 1
		. "$cv_dir/state"
		cv_retries
		if [ -n "$cv_match" ]; then cv_await; fi
		cv_command
		if [ "$cv_bad" = 1 ]; then
			cv_failed=$cv_cmd cv_keep=$cv_part/$cv_n
			cv_part=$cv_badpart cv_n=$cv_badn
			cv_command
			cv_badcmd=$cv_cmd cv_part=${cv_keep%/*} cv_n=${cv_keep#*/} cv_cmd=$cv_failed
		fi
		;;
	esac
	while :; do
		if [ "$cv_how" = again ]; then
			cv_how=first
		else
			cv_pick || break
			cv_listen
			#@run
			cv_hear
		fi
		cv_judge
	done
	if [ -z "${cv_over-}" ]; then exit 0; fi # a command has broken out of the loop: the other one goes on after it
	cd "$CODEBUILD_SRC_DIR" && cv_words
	echo "over $cv_end" >"$cv_dir/now"
	exit 0
	;;
*)
	exec /bin/sh "$0" watch
	;;
esac

if ! command -v #@shell >/dev/null; then
	echo "The buildspec wants the shell #@shell, and this machine has none." >&2
	exit 127
fi
export CODEBUILD_SRC_DIR="$PWD"
dir=$(mktemp -d "$HOME/.conveyor.XXXXXX" 2>/dev/null || mktemp -d) || exit 1
how=first status=0
while :; do
	echo starting >"$dir/now"
	#@shell "$0" commands "$dir" "$how" "$status"
	status=$?
	now=
	if [ -r "$dir/now" ]; then read -r now <"$dir/now"; fi
	case $now in
	running) how=again ;;
	over\ *) break ;;
	*)
		echo "The shell of the build has ended, and not by a command of it." >&2
		if [ "$status" = 0 ]; then status=1; fi
		exit "$status"
		;;
	esac
done
rm -rf "./#@results"
mkdir "./#@results" && cp "$dir/phases" "./#@results/" && printf %s "$PWD" >"./#@results/folder"
for file in "$dir"/word.* "$dir"/exported.*; do
	if [ -f "$file" ]; then cp "$file" "./#@results/"; fi
done
exit "${now#over }"
