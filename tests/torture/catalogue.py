"""
The torture catalogue: what happens to log watchers, and which tests hold what alertd does about it.

    pytest tests/torture -v                                  lists every case, held or not and why
    pytest $(python tests/torture/catalogue.py)              runs all that holds the catalogue
    pytest $(python tests/torture/catalogue.py C M)          of these groups, or cases (C8)

R rotation, L lines and encodings, F floods, C crashes, T time, G configuration and reload, M mail,
S security, P lifecycle, N what review has found.  A number that is missing was never given.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Case:
    """
    One thing that happens.

    Attributes:
        id: By which tests and documents name it.
        fault: What happens.
        tests: Node ids of the tests that hold what must follow.
        reason: Why there are none.
    """

    id: str
    fault: str
    tests: tuple[str, ...] = ()
    reason: str = ""


CASES: Final = (
    Case(
        "N1",
        "csv appended through a copytruncate by a writer that does not repeat its header",
        ("tests/core/test_matching.py::test_after_a_truncation_only_the_same_header_is_one",),
    ),
    Case(
        "N2",
        "one stray quote in a csv with multiline = true",
        ("tests/core/test_matching.py::test_one_stray_quote_blinds_no_rule",),
    ),
    Case(
        "N3",
        "two files of one source, one 8 hours behind the other, catching up",
        (
            "tests/core/test_ordering.py::test_any_interleaving_gives_one_sorted_stream",
            "tests/test_replay.py::test_live_with_a_crash_gives_the_alerts_of_a_replay",
        ),
    ),
    Case(
        "N4",
        "more distinct keys than max_keys, an alert in cooldown among them",
        ("tests/core/test_keyspace.py::test_an_evicted_key_keeps_its_cooldown",),
    ),
    Case(
        "R1",
        "rename+create, both fds written",
        (
            "tests/tail/test_rotation.py::test_r1_old_file_is_drained_before_the_new_one",
            "tests/tail/test_rotation.py::test_r1_old_file_comes_first_whichever_is_noticed_first",
            "tests/tail/test_races.py::test_r1_what_was_ready_waits_for_what_is_written_to_an_older_file",
            "tests/torture/test_rotate.py::test_r25_renamed_ten_times_a_second",
        ),
    ),
    Case("R2", "create delayed 30 s", ("tests/tail/test_rotation.py::test_r2_create_delayed",)),
    Case(
        "R3",
        "writer keeps renamed fd 10 min",
        (
            "tests/tail/test_rotation.py::test_r3_writer_keeps_the_renamed_file",
            "tests/tail/test_rotation.py::test_r3_never_left_with_unread_bytes",
        ),
    ),
    Case(
        "R4",
        "two renames inside one poll",
        (
            "tests/tail/test_rotation.py::test_r4_two_renames_between_two_looks",
            "tests/tail/test_rotation.py::test_r4_reused_inode_of_a_deleted_generation",
            "tests/tail/test_races.py::test_r4_names_shifted_between_listing_and_opening",
        ),
    ),
    Case(
        "R5",
        "rotated twice while down",
        (
            "tests/tail/test_rotation.py::test_r5_rotated_twice_while_down",
            "tests/tail/test_rotation.py::test_r5_r6_rotated_into_another_directory",
        ),
    ),
    Case(
        "R6",
        "rotated+gzipped while down",
        (
            "tests/tail/test_rotation.py::test_r6_rotated_and_compressed_while_down",
            "tests/tail/test_rotation.py::test_r6_gone_while_down_is_said",
            "tests/tail/test_rotation.py::test_r6_rotated_while_down_before_anything_was_read",
            "tests/tail/test_rotation.py::test_r6_made_and_compressed_between_two_looks",
            "tests/tail/test_rotation.py::test_r5_r6_rotated_into_another_directory",
        ),
    ),
    Case(
        "R7",
        "gzipped while backlog unread",
        (
            "tests/tail/test_rotation.py::test_r7_compressed_with_a_backlog",
            "tests/tail/test_rotation.py::test_r7_compressed_after_it_was_left",
        ),
    ),
    Case(
        "R8",
        "copytruncate, quiet file",
        (
            "tests/tail/test_rotation.py::test_r8_r9_copytruncate",
            "tests/tail/test_logrotate.py::test_r8_r9_ten_rotations",
            "tests/tail/test_growth.py::test_r8_quiet_file_loses_nothing_in_a_copytruncate",
        ),
    ),
    Case(
        "R9",
        "copytruncate under 20k lines/s",
        (
            "tests/tail/test_logrotate.py::test_r8_r9_ten_rotations",
            "tests/tail/test_rotation.py::test_r9_copytruncate_while_down",
            "tests/torture/test_rotate.py::test_r9_copied_and_emptied_by_logrotate",
            "tests/tail/test_races.py::test_r9_copy_ends_before_what_was_read",
            "tests/tail/test_races.py::test_r9_emptied_while_it_is_compared_with_its_copy",
            "tests/tail/test_races.py::test_r9_nothing_is_read_while_the_copy_is_looked_for",
            "tests/tail/test_races.py::test_r9_nothing_is_read_while_a_copy_of_what_was_unread_is_looked_for",
            "tests/tail/test_races.py::test_r9_what_was_read_before_the_file_was_emptied_is_not_handed_out_after",
            "tests/tail/test_growth.py::test_r9_what_was_written_between_copy_and_emptying_is_estimated",
            "tests/tail/test_growth.py::test_r9_emptied_before_anything_was_read",
            "tests/tail/test_rotation.py::test_r9_truncated_without_a_copy_is_counted",
            "tests/test_health.py::test_lines_lost_in_a_truncation_are_said_with_their_number",
        ),
    ),
    Case(
        "R10",
        "truncate, regrow past offset within poll",
        ("tests/tail/test_rotation.py::test_r10_truncated_and_grown_past_the_offset",),
    ),
    Case(
        "R11",
        "rewritten at same size",
        ("tests/tail/test_rotation.py::test_r11_rewritten_at_the_same_size",),
    ),
    Case(
        "R13",
        "non-append writer after truncate: NUL hole (100,001 NULs); 1 TB sparse",
        (
            "tests/tail/test_rotation.py::test_r13_hole_after_a_truncation",
            "tests/tail/test_lines.py::test_r13_terabyte_of_nothing_takes_no_memory",
        ),
    ),
    Case(
        "R14",
        "delete+recreate, same inode",
        ("tests/tail/test_rotation.py::test_r14_r15_deleted_and_recreated",),
    ),
    Case(
        "R15",
        "R14 while down, new file longer than offset",
        ("tests/tail/test_rotation.py::test_r14_r15_deleted_and_recreated",),
    ),
    Case(
        "R16",
        "delete with unread backlog",
        ("tests/tail/test_rotation.py::test_r16_deleted_with_a_backlog",),
    ),
    Case(
        "R17",
        "symlink switched atomically",
        (
            "tests/tail/test_rotation.py::test_r17_symlink_switched",
            "tests/tail/test_swaps.py::test_r17_symlink_that_leads_over_another_one",
        ),
    ),
    Case("R18", "two hardlinks match", ("tests/tail/test_rotation.py::test_r18_two_hard_links",)),
    Case(
        "R19",
        "same file under two globs and rules",
        ("tests/tail/test_rotation.py::test_r19_one_file_under_two_globs_and_two_sources",),
    ),
    Case(
        "R20",
        "directory absent at start",
        (
            "tests/tail/test_rotation.py::test_r20_directory_absent_at_start",
            "tests/test_health.py::test_a_glob_that_matches_nothing_is_said_after_a_while",
        ),
    ),
    Case(
        "R21",
        "directory removed and recreated",
        (
            "tests/tail/test_rotation.py::test_r21_directory_removed_and_recreated",
            "tests/tail/test_swaps.py::test_r21_another_directory_with_the_same_time_of_modification",
            "tests/tail/test_swaps.py::test_r21_another_directory_with_the_same_files",
        ),
    ),
    Case(
        "R23",
        "mv over with smaller/larger/same content (editor save)",
        ("tests/tail/test_rotation.py::test_r23_replaced_by_another_file",),
    ),
    Case(
        "R24",
        "new file 0600, chmod 0640 after 2 s",
        ("tests/tail/test_lines.py::test_r24_unreadable_at_first",),
    ),
    Case(
        "R25",
        "10 rotations/s for 60 s",
        (
            "tests/tail/test_rotation.py::test_r25_many_rotations",
            "tests/tail/test_races.py::test_r25_listing_that_lacks_a_file_decides_nothing",
            "tests/tail/test_caught.py::test_generations_that_nobody_named_in_time_are_reported",
            "tests/tail/test_caught.py::test_generations_that_took_a_little_longer_are_not_taken_for_lost_ones",
            "tests/torture/test_rotate.py::test_r25_renamed_ten_times_a_second",
        ),
    ),
    Case(
        "R27",
        "FIFO, socket, directory match",
        (
            "tests/tail/test_rotation.py::test_r27_what_is_no_regular_file_is_skipped",
            "tests/tail/test_swaps.py::test_r27_file_that_becomes_a_fifo_before_it_is_opened",
            "tests/test_health.py::test_what_is_no_regular_file_is_said",
        ),
    ),
    Case(
        "L1",
        "no newline at EOF",
        (
            "tests/tail/test_lines.py::test_l1_unfinished_line_waits",
            "tests/tail/test_lines.py::test_l1_unfinished_line_at_the_end_where_reading_starts",
        ),
    ),
    Case(
        "L2",
        "L1 with kill -9 between halves",
        (
            "tests/tail/test_lines.py::test_l2_line_is_whole_after_a_restart_between_its_halves",
            "tests/test_live.py::test_a_line_counts_when_its_newline_is_there",
        ),
    ),
    Case(
        "L3",
        "last line never ended, file rotated, idle",
        ("tests/tail/test_lines.py::test_l3_last_line_never_ended",),
    ),
    Case(
        "L4",
        "page-boundary tears",
        ("tests/torture/test_on_the_machine.py::test_l4_lines_torn_at_page_boundaries_are_whole",),
    ),
    Case(
        "L5",
        "UTF-8 split over chunks",
        (
            "tests/tail/test_lines.py::test_l5_text_that_is_written_in_pieces",
            "tests/core/test_matching.py::test_chunks_give_what_line_by_line_gives",
        ),
    ),
    Case(
        "L6",
        "CRLF; CR ends chunk",
        (
            "tests/torture/test_neighbours.py::test_l6_exactly_one_carriage_return_is_no_part_of_a_line",
        ),
    ),
    Case(
        "L7",
        "CR-only progress bars",
        ("tests/torture/test_neighbours.py::test_l7_a_progress_bar_is_one_line_and_shown_escaped",),
    ),
    Case(
        "L8",
        "UTF-8 BOM",
        (
            "tests/core/test_matching.py::test_a_byte_order_mark_is_no_text_at_the_start_of_a_file_only",
        ),
    ),
    Case(
        "L10",
        "invalid UTF-8",
        ("tests/core/test_matching.py::test_what_is_no_text_is_shown_as_bytes",),
    ),
    Case(
        "L12",
        "1 GB line",
        (
            "tests/tail/test_lines.py::test_l12_endless_line",
            "tests/tail/test_lines.py::test_l12_endless_line_that_a_rotated_file_ends_with",
            "tests/tail/test_lines.py::test_l12_endless_line_takes_no_memory",
            "tests/test_replay.py::test_an_endless_line_counts_once_by_its_beginning",
        ),
    ),
    Case(
        "L13",
        "\\x0b \\x0c \\x1c \\x85 U+2028 inside",
        (
            "tests/core/test_matching.py::test_only_newlines_end_a_line",
            "tests/core/test_matching.py::test_only_newlines_end_a_line_where_every_line_is_tested",
        ),
    ),
    Case(
        "L14",
        "10M bare newlines",
        (
            "tests/torture/test_neighbours.py::test_l14_millions_of_empty_lines_are_over_at_once",
            "tests/core/test_matching.py::test_lines_without_any_digit_are_passed_over_for_the_first_time_that_follows",
        ),
    ),
    Case(
        "F1",
        "10 GB backlog",
        (
            "tests/torture/test_floods.py::test_f1_f7_a_backlog_takes_no_memory_and_delays_no_other_file",
            "tests/torture/test_floods.py::test_f1_a_backlog_is_caught_up_with_across_a_kill",
        ),
    ),
    Case(
        "F2",
        "1M distinct keys",
        (
            "tests/core/test_keyspace.py::test_at_the_limit_the_key_seen_longest_ago_goes",
            "tests/torture/test_neighbours.py::test_f2_a_flood_of_keys_takes_no_more_than_the_worst_case",
            "tests/test_health.py::test_f2_keys_that_were_forgotten_are_said",
            "tests/torture/test_floods.py::test_f2_a_flood_of_keys_is_told_once",
        ),
    ),
    Case(
        "F3",
        "10k files",
        ("tests/torture/test_floods.py::test_f3_many_files_are_followed_with_few_descriptors",),
    ),
    Case(
        "F4",
        "RLIMIT_NOFILE=64",
        (
            "tests/tail/test_lines.py::test_f4_too_few_descriptors",
            "tests/torture/test_floods.py::test_f3_many_files_are_followed_with_few_descriptors",
        ),
    ),
    Case(
        "F5",
        "event storm in 1 h SMTP outage",
        (
            "tests/test_delivery.py::test_f5_a_flood_that_nobody_takes_off_is_kept_short",
            "tests/core/test_mailing.py::test_f5_a_flood_beyond_outbox_max_shares_mails_whatever_the_limits_say",
            "tests/test_delivery.py::test_a_digest_has_exact_numbers_and_all_ids",
            "tests/test_delivery.py::test_f5_alerts_of_an_outage_of_hours_come_in_one_mail_with_exact_numbers",
        ),
    ),
    Case(
        "F6",
        "every line matches, 50k/s",
        (
            "tests/torture/test_floods.py::test_f6_when_every_line_matches_the_next_mail_says_exactly_what_was_hidden",
        ),
    ),
    Case(
        "F7",
        "one hot, one quiet file",
        (
            "tests/torture/test_floods.py::test_f1_f7_a_backlog_takes_no_memory_and_delays_no_other_file",
            "tests/test_watch.py::test_f7_files_take_turns",
        ),
    ),
    Case(
        "F8",
        "inotify overflow (16,384)",
        (
            "tests/torture/test_floods.py::test_f8_a_storm_that_overflows_inotify_loses_nothing",
            "tests/tail/test_lines.py::test_f8_what_the_kernel_never_mentions_is_found_by_looking",
        ),
    ),
    Case(
        "F10",
        "threshold 10^6",
        ("tests/test_config.py::test_a_mistake_is_refused_with_place_value_and_remedy",),
    ),
    Case(
        "F11",
        "alertd's own log matches glob",
        (
            "tests/test_health.py::test_f11_its_own_output_is_not_watched",
            "tests/test_cli.py::test_explain_knows_a_line_of_alertd_s_own",
        ),
    ),
    Case(
        "F12",
        "50 rules x 100k-line burst",
        (
            "tests/core/test_matching.py::test_a_turn_that_takes_too_long_is_ended_between_two_lines",
            "tests/core/test_matching.py::test_a_batch_that_matches_everywhere_is_taken_in_turns",
            "tests/torture/test_floods.py::test_f12_a_burst_that_fifty_rules_want_holds_up_no_other_task",
            "tests/test_health.py::test_a_source_that_falls_behind_is_said",
        ),
    ),
    Case(
        "F14",
        "disk full and SMTP down together, then healed",
        (
            "tests/torture/test_on_the_machine.py::test_c8_f14_a_full_disk_pauses_reading_and_loses_nothing",
        ),
    ),
    Case(
        "C1",
        "KILL x500 with rotation running",
        (
            "tests/test_crash.py::test_c1_no_alert_is_lost_by_twenty_kills",
            "tests/torture/test_model.py::test_whatever_happens_each_line_is_told_once",
        ),
    ),
    Case(
        "C2",
        "kill at each HOOK point",
        (
            "tests/test_crash.py::test_c2_a_kill_at_each_point_loses_nothing",
            "tests/test_delivery.py::test_c2_a_kill_loses_nothing_and_repeats_only_what_is_uncertain",
        ),
    ),
    Case(
        "C3",
        "state file/WAL truncated at each 512 B",
        (
            "tests/test_state.py::test_c3_a_truncated_log_gives_an_older_state",
            "tests/test_state.py::test_c3_a_truncated_database_is_whole_or_put_aside",
        ),
    ),
    Case(
        "C4",
        "state empty or all NUL",
        (
            "tests/test_state.py::test_c4_a_state_of_nul_bytes_is_put_aside",
            "tests/test_state.py::test_c4_a_log_without_its_database_is_no_first_start",
            "tests/test_health.py::test_c4_a_lost_state_is_said_by_mail_with_what_was_skipped",
        ),
    ),
    Case("C5", "bit flips", ("tests/test_state.py::test_c5_flipped_bits_are_seen",)),
    Case("C6", "schema newer", ("tests/test_state.py::test_c6_a_newer_schema_is_left_untouched",)),
    Case(
        "C7",
        "schema older; kill mid-migration",
        (
            "tests/test_state.py::test_c7_a_migration_that_fails_leaves_the_old_schema",
            "tests/test_state.py::test_c7_a_kill_in_a_migration_leaves_the_old_schema",
            "tests/test_state.py::test_c7_an_older_schema_becomes_the_current_one",
        ),
    ),
    Case(
        "C8",
        "state disk full",
        (
            "tests/torture/test_on_the_machine.py::test_c8_f14_a_full_disk_pauses_reading_and_loses_nothing",
            "tests/test_delivery.py::test_c8_committed_mail_goes_though_nothing_can_be_written",
            "tests/test_health.py::test_c8_a_state_that_cannot_be_written_is_announced_and_then_said",
        ),
    ),
    Case(
        "C9",
        "ENOSPC during write",
        ("tests/test_state.py::test_c9_a_write_that_finds_no_space_changes_nothing",),
    ),
    Case(
        "C10",
        "remount,ro running / at start",
        (
            "tests/test_state.py::test_c10_a_read_only_file_system_is_refused_at_the_start",
            "tests/torture/test_on_the_machine.py::test_c10_a_disk_that_turns_read_only_pauses_reading_and_loses_nothing",
        ),
    ),
    Case("C11", "fsync returns EIO", ("tests/test_state.py::test_c11_a_failed_fsync_is_final",)),
    Case(
        "C12",
        "durability order",
        (
            "tests/torture/test_on_the_machine.py::test_s16_c12_no_program_is_run_and_what_is_told_is_durable_first",
            "tests/test_state.py::test_c12_the_name_of_a_new_state_is_durable_too",
        ),
    ),
    Case(
        "C13",
        "two daemons, one state dir",
        (
            "tests/test_state.py::test_c13_a_second_daemon_is_refused_until_the_first_is_gone",
            "tests/test_live.py::test_a_second_daemon_is_refused",
        ),
    ),
    Case(
        "C14",
        "state dir deleted while running",
        (
            "tests/test_health.py::test_c14_a_state_that_is_removed_ends_an_idle_daemon",
            "tests/test_state.py::test_c14_a_state_removed_while_in_use_is_noticed",
            "tests/test_daemon.py::test_a_state_that_is_gone_ends_the_process_at_once",
        ),
    ),
    Case(
        "C15",
        "down 30 days",
        ("tests/test_delivery.py::test_c15_a_mail_that_was_queued_for_a_month_is_sent",),
    ),
    Case(
        "C17",
        "threshold 5: three events, kill -9, two events",
        ("tests/test_live.py::test_a_restart_is_invisible",),
    ),
    Case(
        "C18",
        "alert sent, kill -9 inside cooldown, more matches",
        (
            "tests/test_live.py::test_a_restart_is_invisible",
            "tests/test_live.py::test_what_a_cooldown_hides_is_counted_across_a_kill",
        ),
    ),
    Case(
        "T1", "wall +1 day", ("tests/test_delivery.py::test_t1_a_clock_that_jumps_changes_no_wait",)
    ),
    Case(
        "T2",
        "wall -1 h",
        (
            "tests/test_delivery.py::test_t1_a_clock_that_jumps_changes_no_wait",
            "tests/core/test_complaints.py::test_a_clock_that_was_set_back_silences_nothing",
            "tests/core/test_ordering.py::test_t2_a_clock_that_was_set_back_holds_nothing",
        ),
    ),
    Case(
        "T3",
        "DST hour repeated",
        (
            "tests/core/test_timestamps.py::test_time_that_happens_twice_gives_both_moments",
            "tests/core/test_matching.py::test_an_hour_that_happens_twice_keeps_the_order_of_the_file",
        ),
    ),
    Case(
        "T4",
        "DST gap 02:30",
        ("tests/core/test_timestamps.py::test_time_that_clocks_skipped_is_mapped_forward",),
    ),
    Case(
        "T5",
        "event +1 year",
        (
            "tests/core/test_matching.py::test_times_ahead_of_the_clock_are_brought_back",
            "tests/test_health.py::test_t5_lines_from_the_future_are_said",
        ),
    ),
    Case(
        "T6",
        "backlog: 5 events over 50 min, rule 5/1 min",
        (
            "tests/torture/test_neighbours.py::test_t6_a_backlog_is_judged_by_the_time_of_its_events",
        ),
    ),
    Case(
        "T7",
        "shuffled within 2 s",
        ("tests/core/test_ordering.py::test_lateness_sorts_writers_that_are_out_of_step",),
    ),
    Case(
        "T8",
        "no year, 31 Dec read on 1 Jan; 1 March read on 31 Dec",
        ("tests/core/test_timestamps.py::test_year_found_is_the_latest_that_is_not_too_late",),
    ),
    Case(
        "T10",
        "UTC log, host +05:30",
        (
            "tests/core/test_timestamps.py::test_timestamp_that_names_no_zone_is_read_in_the_source_s",
            "tests/test_replay.py::test_t10_a_log_in_utc_is_read_so_whatever_zone_the_machine_is_in",
        ),
    ),
    Case(
        "T11",
        "second 60; epoch ms; year 9999",
        (
            "tests/core/test_timestamps.py::test_second_sixty_is_the_second_before_it",
            "tests/core/test_timestamps.py::test_value_is_read_as_a_whole_or_not_at_all",
        ),
    ),
    Case(
        "G1",
        "bad TOML",
        (
            "tests/test_config.py::test_a_mistake_in_the_whole_is_refused",
            "tests/test_config.py::test_what_is_no_toml_is_refused_in_words",
            "tests/test_cli.py::test_a_wrong_configuration_is_refused_with_all_its_errors",
        ),
    ),
    Case(
        "G2",
        "unknown key",
        ("tests/test_config.py::test_a_mistake_is_refused_with_place_value_and_remedy",),
    ),
    Case(
        "G3",
        "wrong type, negative, duplicate id",
        ("tests/test_config.py::test_a_mistake_is_refused_with_place_value_and_remedy",),
    ),
    Case(
        "G4",
        "bad regex",
        ("tests/test_config.py::test_a_mistake_is_refused_with_place_value_and_remedy",),
    ),
    Case(
        "G5",
        "catastrophic regex + hostile line",
        (
            "tests/core/test_matching.py::test_a_regex_that_takes_too_long_is_stopped",
            "tests/test_deadline.py::test_a_step_that_takes_two_ticks_is_stopped",
            "tests/test_health.py::test_g5_a_regex_that_was_stopped_is_said",
        ),
    ),
    Case(
        "G6",
        "SIGHUP, broken config",
        ("tests/test_live.py::test_a_broken_reload_leaves_the_old_rules_at_work",),
    ),
    Case(
        "G7",
        "window 60 -> 300 s",
        (
            "tests/core/test_engine.py::test_a_reload_keeps_windows_and_applies_new_settings",
            "tests/test_live.py::test_a_reload_puts_new_rules_to_work_and_keeps_windows",
        ),
    ),
    Case(
        "G8",
        "rule removed",
        ("tests/torture/test_neighbours.py::test_g8_a_mail_of_a_rule_that_is_gone_is_still_sent",),
    ),
    Case(
        "G9",
        "recipients changed",
        ("tests/test_delivery.py::test_g9_an_address_taken_off_a_rule_gets_nothing_any_more",),
    ),
    Case(
        "G10",
        "SMTP host changed",
        ("tests/test_delivery.py::test_g10_the_mail_in_flight_ends_on_the_old_server",),
    ),
    Case(
        "G11",
        "glob removed, later re-added",
        (
            "tests/tail/test_lines.py::test_g11_glob_removed_and_added_again",
            "tests/torture/test_neighbours.py::test_g11_a_position_not_committed_yet_outlives_its_glob",
        ),
    ),
    Case(
        "M1",
        "refused",
        (
            "tests/test_delivery.py::test_m1_a_server_that_is_down_is_tried_from_5_s_to_15_min_apart",
            "tests/test_delivery.py::test_m1_after_five_days_a_mail_is_given_up_and_kept",
        ),
    ),
    Case(
        "M2",
        "DNS EAI_AGAIN, hanging resolver",
        (
            "tests/test_smtp.py::test_a_name_that_cannot_be_resolved_now_may_be_tried_again",
            "tests/test_smtp.py::test_a_hanging_resolver_blocks_nothing",
        ),
    ),
    Case(
        "M3",
        "accepts, no banner",
        (
            "tests/test_smtp.py::test_a_server_that_does_not_greet_may_be_tried_again",
            "tests/test_smtp.py::test_silence_ends_at_the_deadline",
        ),
    ),
    Case(
        "M4",
        "reply dripped 1 B/20 s",
        (
            "tests/test_smtp.py::test_a_dripping_server_does_not_hold_us_longer",
            "tests/test_smtp.py::test_silence_ends_at_the_deadline",
        ),
    ),
    Case(
        "M5",
        "stall mid-DATA",
        ("tests/test_delivery.py::test_m5_a_stall_in_the_middle_is_tried_again",),
    ),
    Case(
        "M6",
        "drop after final dot, before 250",
        (
            "tests/test_delivery.py::test_m6_an_uncertain_mail_is_repeated_byte_by_byte",
            "tests/test_smtp.py::test_no_answer_to_the_final_dot_is_uncertain",
        ),
    ),
    Case(
        "M7",
        "250, then kill before commit",
        (
            "tests/test_delivery.py::test_c2_a_kill_loses_nothing_and_repeats_only_what_is_uncertain",
            "tests/test_crash.py::test_c2_a_kill_at_each_point_loses_nothing",
        ),
    ),
    Case(
        "M8",
        "drop at QUIT after 250",
        ("tests/test_smtp.py::test_what_happens_at_quit_does_not_matter",),
    ),
    Case(
        "M9",
        "421 any phase",
        (
            "tests/test_smtp.py::test_a_loss_before_the_mail_is_temporary",
            "tests/test_smtp.py::test_a_refused_mail_is_judged_for_all_who_were_accepted",
        ),
    ),
    Case(
        "M10",
        "450/451 for one of three",
        (
            "tests/test_delivery.py::test_m10_one_deferred_recipient_of_three_is_tried_again_alone",
            "tests/test_delivery.py::test_a_mailbox_that_is_closed_for_hours_gets_one_mail_and_delays_no_other",
        ),
    ),
    Case(
        "M12",
        "550 for one of three",
        (
            "tests/test_delivery.py::test_m12_one_refused_recipient_of_three_fails_for_good",
            "tests/test_health.py::test_m12_a_mailbox_that_refuses_is_said_to_others",
        ),
    ),
    Case(
        "M13",
        "all refused",
        (
            "tests/test_delivery.py::test_m13_a_mail_that_all_refuse_is_kept",
            "tests/test_delivery.py::test_m13_what_failed_for_good_can_be_retried",
            "tests/test_health.py::test_m12_m13_a_refused_mail_is_said_listed_retried_and_dropped",
        ),
    ),
    Case(
        "M14",
        "535",
        (
            "tests/test_delivery.py::test_m14_a_refused_login_is_tried_after_a_minute_and_by_a_reload_at_once",
            "tests/test_smtp.py::test_a_refused_login_names_the_user_and_tries_no_other_method",
        ),
    ),
    Case(
        "M15",
        "cert expired, self-signed, wrong host",
        ("tests/test_smtp.py::test_a_certificate_that_does_not_verify_ends_it",),
    ),
    Case(
        "M16",
        "STARTTLS not offered",
        ("tests/test_smtp.py::test_starttls_that_is_not_offered_ends_it",),
    ),
    Case(
        "M17",
        "plaintext reply injected before TLS",
        ("tests/test_smtp.py::test_a_reply_injected_before_tls_is_not_believed",),
    ),
    Case(
        "M18",
        "552",
        (
            "tests/test_delivery.py::test_m18_a_mail_that_is_too_large_is_cut_once",
            "tests/test_delivery.py::test_m18_a_mail_that_cannot_be_short_enough_is_kept",
            "tests/core/test_render.py::test_m18_a_mail_that_is_too_large_is_cut_to_8_kib",
        ),
    ),
    Case(
        "M19",
        "10k queued",
        (
            "tests/test_delivery.py::test_alerts_go_oldest_first_over_one_connection",
            "tests/torture/test_floods.py::test_m19_a_thousand_mails_go_in_order_over_one_connection",
        ),
    ),
    Case(
        "M20",
        "2 MB reply line, bad code, unsolicited lines",
        (
            "tests/test_smtp.py::test_an_endless_reply_is_cut_off",
            "tests/test_smtp.py::test_a_data_reply_that_makes_no_sense_is_temporary",
            "tests/test_smtp.py::test_a_reply_too_many_is_not_taken_for_the_next_one",
        ),
    ),
    Case(
        "M22",
        "same address in two lists of one alert",
        (
            "tests/test_delivery.py::test_m22_an_address_that_is_named_twice_gets_one_copy",
            "tests/test_state.py::test_an_alert_is_queued_once_however_often_it_is_committed",
            "tests/test_smtp.py::test_an_address_that_occurs_twice_gets_one_copy",
        ),
    ),
    Case(
        "S1",
        "CR, LF, =?UTF-8?Q?=0A?=Bcc: in key",
        (
            "tests/core/test_render.py::test_no_text_breaks_a_mail",
            "tests/core/test_render.py::test_no_invented_text_breaks_a_mail",
            "tests/core/test_render.py::test_headers_that_are_not_those_meant_are_noticed",
            "tests/torture/test_hostile.py::test_s1_s2_s3_hostile_lines_arrive_with_exactly_the_allowed_headers",
        ),
    ),
    Case(
        "S2",
        "VT, NEL, U+2028, surrogates",
        (
            "tests/core/test_render.py::test_no_text_breaks_a_mail",
            "tests/torture/test_hostile.py::test_s1_s2_s3_hostile_lines_arrive_with_exactly_the_allowed_headers",
        ),
    ),
    Case(
        "S3",
        "NUL, ESC in subject or body",
        (
            "tests/core/test_render.py::test_what_cannot_be_seen_is_spelled_out",
            "tests/torture/test_hostile.py::test_s1_s2_s3_hostile_lines_arrive_with_exactly_the_allowed_headers",
        ),
    ),
    Case("S4", "<script>, links", ("tests/core/test_render.py::test_no_text_becomes_markup",)),
    Case(
        "S5",
        "1 MB field",
        (
            "tests/core/test_render.py::test_a_long_key_is_cut_and_the_rest_of_the_subject_is_not",
            "tests/core/test_render.py::test_a_long_line_keeps_its_beginning_and_its_match",
        ),
    ),
    Case(
        "S6",
        "renderer throws",
        (
            "tests/core/test_render.py::test_an_alert_that_cannot_be_laid_out_is_mailed_all_the_same",
            "tests/core/test_render.py::test_the_last_resort_holds_for_hostile_text_too",
        ),
    ),
    Case(
        "S7",
        "password canary",
        (
            "tests/test_config.py::test_no_error_shows_the_password",
            "tests/test_config.py::test_no_configuration_shows_the_password",
            "tests/test_smtp.py::test_the_password_is_never_said",
            "tests/test_smtp.py::test_no_part_of_a_password_is_said_where_a_text_is_cut",
            "tests/torture/test_secrets.py::test_s7_the_password_is_seen_by_the_mail_server_alone",
        ),
    ),
    Case(
        "S8",
        "config 0644 with inline password",
        ("tests/test_config.py::test_a_password_in_a_file_for_everybody_is_refused",),
    ),
    Case(
        "S9",
        "state dir 0777, foreign owner",
        (
            "tests/test_state.py::test_s9_files_are_ours_alone_whatever_the_umask",
            "tests/test_state.py::test_s9_a_state_that_was_put_back_is_closed_to_others",
            "tests/test_state.py::test_s9_a_directory_that_others_may_write_in_is_refused",
            "tests/test_state.py::test_s9_somebody_elses_directory_is_refused",
        ),
    ),
    Case(
        "S10",
        "state.db or temp pre-made symlink",
        (
            "tests/test_state.py::test_s10_a_symlink_is_refused",
            "tests/test_state.py::test_s10_a_lock_that_becomes_a_symlink_before_it_is_opened_is_refused",
            "tests/test_state.py::test_s10_what_is_no_file_is_refused",
        ),
    ),
    Case(
        "S11",
        "log dir writer links x.log -> /etc/shadow",
        (
            "tests/test_health.py::test_s11_a_symlink_that_a_stranger_made_is_not_followed",
            "tests/test_health.py::test_s11_a_file_that_becomes_a_symlink_before_it_is_opened_is_not_read",
            "tests/tail/test_swaps.py::test_s11_copy_that_becomes_a_symlink_before_it_is_opened",
            "tests/tail/test_swaps.py::test_s11_name_that_becomes_a_symlink_before_it_is_caught",
        ),
    ),
    Case(
        "S12",
        ".., , symlink loops",
        (
            "tests/test_config.py::test_a_mistake_is_refused_with_place_value_and_remedy",
            "tests/torture/test_neighbours.py::test_s12_a_loop_of_symlinks_ends",
            "tests/torture/test_neighbours.py::test_s12_nobody_descends_for_ever",
        ),
    ),
    Case(
        "S14",
        'forged field (username containing "from 10.0.0.1")',
        (
            "tests/test_config.py::test_a_key_that_a_log_line_can_choose_is_a_warning",
            "tests/core/test_forgery.py::test_a_group_whose_place_is_settled_is_safe",
            "tests/core/test_forgery.py::test_a_group_that_can_be_moved_is_not",
            "tests/core/test_forgery.py::test_the_forgery_of_cve_2013_2178_is_one",
        ),
    ),
    Case(
        "S15",
        "key churn to re-arm cooldown",
        (
            "tests/core/test_keyspace.py::test_an_evicted_key_keeps_its_cooldown",
            "tests/core/test_keyspace.py::test_kept_cooldowns_are_bounded_too",
        ),
    ),
    Case(
        "S16",
        "shell injection (CVE-2021-32749, mail tildes)",
        (
            "tests/torture/test_on_the_machine.py::test_s16_c12_no_program_is_run_and_what_is_told_is_durable_first",
        ),
    ),
    Case(
        "S19",
        "gzip bomb as rotated file",
        (
            "tests/torture/test_neighbours.py::test_s19_a_bomb_takes_no_memory",
            "tests/tail/test_lines.py::test_s19_archive_is_left_when_it_holds_too_much",
        ),
    ),
    Case("S20", "unit sandbox", ("tests/test_systemd.py::test_unit_leaves_little_exposed",)),
    Case(
        "S21",
        "SMTP error text with ESC, 10 MB",
        ("tests/test_smtp.py::test_what_a_server_says_is_shown_escaped_and_short",),
    ),
    Case(
        "P1",
        "SIGTERM idle / SIGINT",
        (
            "tests/test_live.py::test_sigterm_ends_it_well",
            "tests/test_watch.py::test_what_was_read_is_committed_at_the_end",
        ),
    ),
    Case(
        "P2",
        "SIGTERM under load",
        (
            "tests/torture/test_lifecycle.py::test_p2_sigterm_under_load_stops_in_time_and_loses_nothing",
            "tests/test_watch.py::test_what_was_read_is_committed_at_the_end",
        ),
    ),
    Case(
        "P3",
        "SIGTERM, SMTP hung",
        ("tests/test_delivery.py::test_p3_a_mail_that_hangs_at_the_end_stays_pending",),
    ),
    Case(
        "P4",
        "second SIGTERM",
        ("tests/torture/test_lifecycle.py::test_p4_a_second_sigterm_ends_it_at_once",),
    ),
    Case(
        "P5",
        "1,000 SIGHUP in 1 s",
        ("tests/torture/test_lifecycle.py::test_p5_a_thousand_hang_ups_are_few_reloads",),
    ),
    Case(
        "P6",
        "SIGHUP during startup",
        ("tests/torture/test_lifecycle.py::test_p6_a_hang_up_while_it_starts_does_not_end_it",),
    ),
    Case(
        "P7",
        "reader, committer or sender stuck",
        (
            "tests/test_daemon.py::test_p7_the_watchdog_is_fed_only_while_watch_and_delivery_get_on",
            "tests/test_delivery.py::test_p7_a_sender_that_outlasts_its_deadline_is_known_to_be_stuck",
        ),
    ),
    Case(
        "P8",
        "reload protocol",
        (
            "tests/test_live.py::test_a_reload_tells_systemd",
            "tests/test_systemd.py::test_reloading_carries_the_monotonic_time_at_which_it_began",
        ),
    ),
    Case(
        "P9",
        "task raises",
        (
            "tests/test_daemon.py::test_a_failed_loop_is_started_again",
            "tests/test_daemon.py::test_a_loop_that_fails_again_and_again_ends_the_process",
        ),
    ),
    Case(
        "P10",
        "10k rotations",
        (
            "tests/tail/test_rotation.py::test_what_is_remembered_does_not_grow_with_rotations",
            "tests/tail/test_rotation.py::test_r25_many_rotations",
        ),
    ),
    Case(
        "P11",
        "journal pipe full or closed",
        (
            "tests/test_logs.py::test_full_pipe_delays_nobody",
            "tests/test_logs.py::test_closed_pipe_raises_nothing",
        ),
    ),
    Case("P13", "30 min soak", reason="half an hour of everything: python tests/torture/soak.py"),
)


def chosen(wanted: list[str]) -> list[str]:
    """Return the node ids that hold these groups and cases, all without any, each once."""
    return list(
        dict.fromkeys(
            test
            for case in CASES
            if not wanted or case.id in wanted or case.id[0] in wanted
            for test in case.tests
        )
    )


if __name__ == "__main__":
    sys.stdout.write("\n".join(chosen(sys.argv[1:])) + "\n")
