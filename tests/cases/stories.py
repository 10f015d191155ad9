"""The cases that no row of the table can show, and which tests show them."""

from __future__ import annotations

POLICY = "cases/test_policy_cases.py::"
MEDIA = "cases/test_media_cases.py::"
OPEN = "steps/open/test_open.py::"
INGEST = "steps/ingest/test_ingest.py::"
COPY = "ingest/test_sealed_copy.py::"
LEDGER = "quorum/test_ledger.py::"
RETRACTION = "quorum/test_retraction.py::"
VERSION = "quorum/test_version.py::"
SIGSTORE = "attest/test_sigstore.py::"
NIX = "attest/test_attested_nar.py::"
LINK = "attest/test_in_toto_link.py::"

ELSEWHERE: dict[int, tuple[str, ...]] = {
    5: (
        POLICY + "test_5_one_public_key_of_two_builders_is_a_policy_error",
        POLICY + "test_5_at_count_time_one_public_key_of_two_builders_is_one_vote",
    ),
    6: (POLICY + "test_6_one_rsa_key_as_ssh_and_as_pem_is_one_key",),
    24: (RETRACTION + "test_a_dissenter_takes_it_back",),
    25: (
        RETRACTION + "test_another_enrolled_key_of_the_principal_takes_it_back",
        RETRACTION + "test_nobody_else_takes_it_back",
    ),
    26: (LEDGER + "test_an_attestation_that_is_gone_since_is_reported",),
    44: (SIGSTORE + "test_a_bundle_has_one_signature",),
    45: (SIGSTORE + "test_another_repository_ref_or_issuer_is_nobody_enrolled",),
    46: (SIGSTORE + "test_an_old_bundle_is_told_so",),
    47: (SIGSTORE + "test_only_the_pinned_root_will_do",),
    59: (OPEN + "test_a_clock_that_is_off_is_read_again_and_both_readings_stay",),
    66: (LEDGER + "test_the_same_bytes_again_are_a_logged_re_sign",),
    67: (LEDGER + "test_a_version_of_other_bytes_is_refused",),
    68: (LEDGER + "test_a_lower_version_needs_the_operators",),
    69: (
        VERSION + "test_versions_are_ordered_as_semver_says",
        VERSION + "test_what_is_not_canonical_is_no_version",
    ),
    70: (VERSION + "test_a_name_that_says_otherwise_or_is_of_a_development_build_is_refused",),
    71: (
        LEDGER + "test_a_missing_ledger_stops_until_people_say_that_none_was_made",
        LEDGER + "test_a_ledger_counts_only_with_the_head_from_paper",
    ),
    72: (
        LEDGER + "test_a_policys_sequence_exceeds_the_last",
        POLICY + "test_72_an_expired_policy_and_too_few_owners_are_refused",
        OPEN + "test_one_of_two_owners_is_not_enough",
        OPEN + "test_an_expired_policy_ends_it",
        OPEN + "test_a_policy_that_was_changed_after_signing_ends_it_before_anything_is_read",
    ),
    73: (
        POLICY + "test_73_a_policy_that_cannot_be_meant_is_refused",
        POLICY + "test_73_a_table_twice_is_refused",
    ),
    74: (MEDIA + "test_74_an_image_that_is_signed_already_is_refused",),
    76: (
        MEDIA + "test_76_bytes_behind_the_last_section_are_refused",
        "pe/test_vectors.py::test_a_vector_named_by_its_defect_breaks_its_rule",
    ),
    77: (MEDIA + "test_77_ten_thousand_files_of_garbage_change_nothing",),
    78: (MEDIA + "test_78_names_that_attack_a_terminal_are_shown_escaped",),
    79: (
        NIX + "test_a_content_addressed_path_with_an_enrolled_signature_counts",
        NIX + "test_a_content_addressed_path_without_an_enrolled_signature_counts_for_nobody",
    ),
    80: (NIX + "test_an_archive_that_holds_another_image_is_a_vote_against_it",),
    81: (LINK + "test_the_command_of_a_layout_is_never_run",),
    83: (
        INGEST + "test_the_stick_is_never_read_again_after_it_was_taken_out",
        INGEST + "test_83_an_image_swapped_on_the_stick_after_it_was_hashed_is_not_what_is_signed",
        COPY + "test_83_nobody_writes_to_the_copy_any_more",
    ),
}
