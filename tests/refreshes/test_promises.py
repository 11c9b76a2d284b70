"""Every promise of `docs/refreshes.md`, with the tests that hold it.

The page is read sentence by sentence, tables row by row. Each sentence has to contain a quote of `HELD`, whose tests
hold what it promises, or of `EXPLAINS`, where it promises nothing. A quote is as short as it can be told from the
rest of the page, so that wording may change around it.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parents[1]
PAGE = TESTS.parent / "docs" / "refreshes.md"

MERGE = "custom_labels/test_merge.py"
KILLED = "pipelines/test_registration_killed.py::test_a_worker_may_be_killed_at_every_write"
CHAOS = "chaos/test_chaos.py::test_no_history_breaks_a_promise"
DAMAGED = "pipelines/test_damaged_documents.py"
REFUSED = f"{DAMAGED}::test_a_damaged_document_is_refused_before_any_write_and_rebuilt_without_loss"
LOST = "refreshes/test_damaged_documents.py"
AIRFLOW = "e2e/test_registration_in_airflow.py"
SAVES = "gallery/test_saves.py"
BESIDE = "gallery/test_saves_beside_others.py"

HELD: Mapping[str, tuple[str, ...]] = {
    "is held by tests": ("refreshes/test_promises.py::test_every_sentence_is_held_or_promises_nothing",),
    # Whose entry is it?
    "is this import's own when it says what": (
        f"{MERGE}::test_what_becomes_of_an_image",
        f"{MERGE}::test_what_an_unfinished_run_sent_is_no_ones_work",
        "refreshes/test_publishing.py::test_nothing_that_unfinished_runs_have_sent_is_forgotten",
    ),
    "Everything else is *work*": (
        f"{MERGE}::test_a_row_of_the_base_without_anything_sent_makes_no_entry_ours",
        "refreshes/test_several_imports.py::test_a_persons_edit_survives_both_imports_that_bring_the_same_images",
    ),
    "is no statement, and gives way to a label": (
        "refreshes/test_three_versions.py::test_an_entry_without_a_label_of_another_import_gives_way_to_a_label",
    ),
    "The same rule holds whether": (
        f"{MERGE}::test_an_image_that_is_gone",
        f"{MERGE}::test_an_image_at_fault_is_not_gone",
        f"{MERGE}::test_a_held_entry_stays_a_persons_once_its_image_is_back",
        "custom_labels/test_outcomes.py::"
        "test_a_closed_ledger_remembers_a_persons_entry_in_whichever_state_its_image_is",
        "refreshes/test_work_kept_aside.py::test_a_box_that_was_drawn_while_the_image_was_held_counts_as_work",
    ),
    "Removing a label is work": (
        f"{MERGE}::test_a_removed_label_is_work_while_its_image_is_gone_too",
        "refreshes/test_work_kept_aside.py::test_a_label_that_a_person_removed_stays_removed_when_the_image_comes_back",
    ),
    "What was sent is remembered by digest": (
        f"{MERGE}::test_what_was_sent_is_remembered_while_a_person_has_another_entry_there",
        "refreshes/test_publishing.py::test_nothing_that_unfinished_runs_have_sent_is_forgotten",
    ),
    "That document also keeps the work": (
        "refreshes/test_overwriting.py::test_what_a_dead_run_has_overwritten_is_told_of_by_the_next_one",
        "refreshes/test_overwriting.py::"
        "test_what_a_dead_run_has_overwritten_is_counted_where_a_person_has_edited_since",
    ),
    "happens to say the same as the source stays the person's": (
        f"{MERGE}::test_an_edit_that_the_source_comes_to_say_stays_a_persons",
        "refreshes/test_work_kept_aside.py::test_an_edit_that_once_equals_the_source_stays_a_persons",
    ),
    # Three versions of every image.
    "| a line | no entry |": (
        f"{MERGE}::test_what_becomes_of_an_image",
        "refreshes/test_three_versions.py::test_lines_are_sent_where_nobody_else_has_said_anything",
    ),
    "| a line | says the same |": (
        f"{MERGE}::test_what_becomes_of_an_image",
        "refreshes/test_three_versions.py::test_lines_are_sent_where_nobody_else_has_said_anything",
    ),
    "| a line | this import's own |": (
        f"{MERGE}::test_what_becomes_of_an_image",
        "refreshes/test_three_versions.py::test_lines_are_sent_where_nobody_else_has_said_anything",
    ),
    "| a line | work | it stays": (
        f"{MERGE}::test_what_becomes_of_an_image",
        "refreshes/test_three_versions.py::test_lines_are_sent_where_nobody_else_has_said_anything",
    ),
    "| a line | work | ours is sent": (
        f"{MERGE}::test_overwriting_keeps_what_was_there_aside",
        "refreshes/test_three_versions.py::test_what_gives_way_is_in_the_snapshot",
    ),
    "| a line of other bytes |": (
        f"{MERGE}::test_boxes_that_do_not_fit_new_bytes_are_kept_aside_until_they_fit",
        "refreshes/test_work_kept_aside.py::test_boxes_that_do_not_fit_come_back_with_the_old_picture",
    ),
    "| none: the image is at fault |": (
        f"{MERGE}::test_an_image_at_fault_is_not_gone",
        "refreshes/test_three_versions.py::test_an_image_that_cannot_be_read_keeps_its_entry",
    ),
    "| removed, by a replacement": (
        f"{MERGE}::test_an_image_that_is_gone",
        "refreshes/test_three_versions.py::"
        "test_what_is_gone_is_removed_and_remembered_as_long_as_a_person_worked_on_it",
    ),
    "until a later run replaces the dataset |": (
        f"{MERGE}::test_an_image_that_is_gone",
        "refreshes/test_three_versions.py::"
        "test_what_is_gone_is_removed_and_remembered_as_long_as_a_person_worked_on_it",
    ),
    "| none | of another import |": (
        f"{MERGE}::test_an_import_removes_only_what_it_alone_has_brought",
        "refreshes/test_three_versions.py::test_an_image_of_another_import_is_none_of_this_ones_objects",
    ),
    "Entries *say the same*": (
        f"{MERGE}::test_what_becomes_of_an_image",
        "custom_labels/test_line_contents.py::test_what_a_line_says_is_told_apart",
        "custom_labels/test_dataset_counts.py::test_the_digest_steps_over_how_a_line_is_written",
    ),
    "Two merges in a row": (
        f"{MERGE}::test_nothing_is_lost_and_a_second_merge_changes_nothing",
        "refreshes/test_the_same_again.py::test_importing_the_same_thing_twice_changes_nothing",
    ),
    "Work is never lost": (f"{MERGE}::test_nothing_is_lost_and_a_second_merge_changes_nothing", KILLED, CHAOS),
    "A person's work is in the dataset, or": (
        f"{MERGE}::test_nothing_is_lost_and_a_second_merge_changes_nothing",
        KILLED,
        CHAOS,
    ),
    "does not hold any more comes back with the image": (
        f"{MERGE}::test_work_on_a_removed_image_comes_back_with_it",
        "refreshes/test_work_kept_aside.py::test_a_box_on_a_held_image_is_still_there_when_the_image_comes_back",
        "refreshes/test_work_kept_aside.py::"
        "test_work_kept_aside_outlives_what_another_import_says_of_an_image_that_this_one_does_not_take",
        "refreshes/test_three_versions.py::"
        "test_what_is_gone_is_removed_and_remembered_as_long_as_a_person_worked_on_it",
    ),
    "If somebody works on such an image again": (
        f"{MERGE}::test_nothing_is_lost_and_a_second_merge_changes_nothing",
        "refreshes/test_work_kept_aside.py::test_work_kept_aside_gives_way_to_what_a_person_says_of_the_image_since",
    ),
    "The earlier one has given way": (
        f"{MERGE}::test_of_what_people_say_the_latest_counts",
        "refreshes/test_work_kept_aside.py::test_work_kept_aside_gives_way_to_what_a_person_says_of_the_image_since",
        "refreshes/test_work_kept_aside.py::"
        "test_boxes_that_do_not_fit_give_way_to_a_label_that_a_person_puts_on_the_new_picture",
        "refreshes/test_work_kept_aside.py::test_work_kept_aside_gives_way_while_the_image_cannot_be_read",
        "pipelines/test_summaries.py::test_earlier_work_that_gave_way_is_counted",
    ),
    "a run of another import brings back what the dataset lost": (
        f"{MERGE}::test_an_entry_that_a_replacement_lost_comes_back",
        "refreshes/test_replacements.py::test_another_import_leaves_what_lost_its_image_in_the_export",
        "refreshes/test_replacements.py::test_what_another_import_left_comes_back_with_its_image",
        "refreshes/test_replacements.py::test_another_import_creates_the_dataset_without_what_lost_its_image",
    ),
    "If somebody deletes the dataset": (
        "refreshes/test_vanished_datasets.py::test_a_kept_edit_comes_back_with_the_dataset_and_somebody_is_asked",
        "refreshes/test_vanished_datasets.py::test_work_on_an_image_that_went_with_the_dataset_is_kept_aside",
    ),
    "What is gone at its source by then counts as removed": (
        f"{MERGE}::test_what_a_dataset_lost_that_is_created_anew_is_removed_once",
        "refreshes/test_vanished_datasets.py::test_what_left_with_a_dataset_that_a_dead_run_deleted_is_told_of",
        "refreshes/test_vanished_datasets.py::test_what_left_with_a_dataset_that_was_deleted_by_hand_is_told_of_once",
        "refreshes/test_vanished_datasets.py::"
        "test_boxes_that_do_not_fit_are_asked_about_when_the_dataset_is_created_anew",
        "custom_labels/test_risks.py::test_a_dataset_that_is_created_anew_has_lost_images_and_has_no_new_labels",
    ),
    "Work follows the picture": (
        f"{MERGE}::test_work_on_an_image_of_another_key_moves_with_it",
        "refreshes/test_pictures_that_move.py::test_one_moved_image_takes_a_persons_box_along_and_nobody_is_asked",
    ),
    "found at another by its content": (
        "refreshes/test_pictures_that_move.py::test_one_moved_image_takes_a_persons_box_along_and_nobody_is_asked",
        "refreshes/test_pictures_that_move.py::test_work_that_was_kept_aside_comes_back_at_another_place",
    ),
    "a renamed folder, a change of case": (
        "refreshes/test_pictures_that_move.py::test_a_renamed_folder_takes_peoples_work_along",
        "refreshes/test_three_versions.py::test_work_follows_an_image_whose_name_changes_its_case",
    ),
    "when a split gives it to the other dataset": (
        "refreshes/test_three_versions.py::test_work_follows_an_image_that_a_split_gives_to_the_other_dataset",
        "refreshes/test_split.py::test_a_renamed_test_image_keeps_a_persons_box",
        "refreshes/test_split.py::test_work_on_a_test_image_that_cannot_be_read_stays_in_the_test_dataset_alone",
    ),
    "A move is not a removal": (
        "custom_labels/test_risks.py::test_a_move_is_told_and_not_counted",
        "refreshes/test_pictures_that_move.py::test_a_renamed_folder_takes_peoples_work_along",
    ),
    "Where several images have the same content, or": (
        "refreshes/test_pictures_that_move.py::test_work_on_an_image_whose_copies_lie_at_two_places_is_a_risk",
        "refreshes/test_three_versions.py::test_work_whose_content_has_changed_with_its_name_is_asked_about",
    ),
    "as Rekognition demands": (
        "refreshes/test_buckets_that_change.py::"
        "test_a_dataset_stays_in_its_bucket_when_an_import_of_another_one_begins",
    ),
    "known there by its content, else by its key": (
        "custom_labels/test_moves.py::test_where_an_image_is_now",
        "refreshes/test_buckets_that_change.py::test_work_moves_to_another_bucket_with_its_images",
        "refreshes/test_buckets_that_change.py::"
        "test_images_that_change_their_names_with_the_bucket_are_known_by_their_content",
        "refreshes/test_buckets_that_change.py::test_images_of_a_split_stay_on_their_sides_in_another_bucket",
    ),
    "Where entries would stay in the bucket before": (
        "refreshes/test_buckets_that_change.py::"
        "test_a_run_that_holds_entries_does_not_move_a_dataset_to_another_bucket",
        "refreshes/test_buckets_that_change.py::test_entries_of_another_import_keep_the_dataset_in_their_bucket",
        "refreshes/test_buckets_that_change.py::"
        "test_an_image_that_the_other_bucket_has_damaged_keeps_the_dataset_where_it_is",
    ),
    "An image that did not move along is removed": (
        "refreshes/test_buckets_that_change.py::"
        "test_an_image_that_does_not_move_along_is_removed_and_its_work_comes_back_with_it",
    ),
    "Only what is gone at its source is removed": (
        "refreshes/test_three_versions.py::"
        "test_what_is_gone_is_removed_and_remembered_as_long_as_a_person_worked_on_it",
        "refreshes/test_ground_truth.py::test_an_image_that_the_manifest_lost_is_removed_and_its_work_is_a_risk",
    ),
    "that `exclude` leaves out": (
        "refreshes/test_edits_meanwhile.py::test_work_that_a_person_does_on_an_image_that_goes_is_kept_aside",
    ),
    "the annotations name and nobody finds": (
        "refreshes/test_the_same_again.py::test_an_image_that_annotations_name_and_nobody_finds_is_removed",
        "refreshes/test_existing_dataset.py::"
        "test_an_image_that_is_missing_at_the_source_is_removed_and_its_box_kept_aside",
    ),
    "could not be read, copied or labelled": (
        "refreshes/test_runs_that_lost_their_place.py::"
        "test_an_outdated_run_that_is_cleared_from_its_first_task_removes_nothing_that_is_newer",
        "refreshes/test_three_versions.py::test_an_image_that_cannot_be_read_keeps_its_entry",
        "refreshes/test_existing_dataset.py::test_a_copy_whose_image_was_overwritten_at_the_source_stays_with_its_box",
        "refreshes/test_ground_truth.py::test_an_image_whose_line_became_unusable_stays_as_it_is",
    ),
    "Where all images of a dataset have left a split": (
        "refreshes/test_split.py::test_all_test_images_leave_a_split_and_people_are_asked",
        "refreshes/test_split.py::test_test_images_that_have_all_left_are_held_until_a_run_may_replace_the_dataset",
        "refreshes/test_split.py::test_a_frozen_test_dataset_whose_images_have_all_left_is_asked_about",
    ),
    "is then created again without entries": (
        "refreshes/test_split.py::test_all_training_images_leave_a_split",
        "refreshes/test_split.py::test_a_worker_that_dies_while_a_test_dataset_is_emptied_loses_no_work",
    ),
    "An import without any image is refused": (
        "refreshes/test_three_versions.py::test_an_import_without_any_image_changes_nothing",
    ),
    "replaced under a person's work keeps the work": (
        "refreshes/test_overwritten_images.py::test_boxes_on_overwritten_images_stay_and_are_a_risk_with_a_number",
        "refreshes/test_overwritten_images.py::test_boxes_that_return_to_another_picture_are_a_risk",
        "refreshes/test_overwritten_images.py::test_boxes_that_are_drawn_again_are_of_the_picture_that_is_there",
    ),
    "It says so in the run that takes the new bytes": (
        f"{MERGE}::test_it_is_told_once_that_boxes_are_on_other_bytes_than_they_were_drawn_on",
        f"{MERGE}::test_what_boxes_were_drawn_on_is_remembered_while_the_image_is_not_there",
        "refreshes/test_overwritten_images.py::"
        "test_boxes_on_an_image_that_is_newer_than_a_run_are_a_risk_of_the_run_that_takes_it",
        "refreshes/test_overwritten_images.py::test_the_bytes_that_boxes_were_drawn_on_are_no_new_content",
        "object_store/test_tables.py::test_closed_ledgers_say_what_was_sent_and_whose_work_is_where",
    ),
    # Several imports into one dataset.
    "Each import has a base of its own": (
        "refreshes/test_several_imports.py::test_a_folders_own_entries_follow_it_after_another_folder_was_imported",
        "refreshes/test_existing_dataset.py::test_a_removal_is_applied_after_another_import_in_between",
    ),
    "An import is what was resolved": (
        "refreshes/test_existing_dataset.py::test_a_source_in_two_notations_is_one_source",
        "refreshes/test_the_same_again.py::test_a_folder_is_the_same_with_and_without_its_slash",
        "refreshes/test_ground_truth.py::test_a_job_that_labels_otherwise_leaves_a_persons_labels",
    ),
    "It removes only images that it has brought": (
        f"{MERGE}::test_an_import_removes_only_what_it_alone_has_brought",
        "refreshes/test_several_imports.py::test_an_image_that_two_folders_brought_stays_as_long_as_one_of_them_has_it",
        "refreshes/test_several_imports.py::test_an_upload_claims_no_image_that_it_only_carries",
    ),
    "it overwrites only images that it brings": (
        f"{MERGE}::test_an_import_overwrites_only_what_it_brings",
        "refreshes/test_local_computer.py::test_an_upload_that_overwrites_takes_only_the_work_on_its_own_images",
    ),
    "labels of entries that stay have not vanished": (
        "custom_labels/test_risks.py::test_labels_of_entries_that_stay_have_not_vanished",
        "refreshes/test_several_imports.py::test_labels_of_an_upload_have_not_vanished_when_the_folder_is_refreshed",
    ),
    "Importing the same thing twice": (
        "refreshes/test_the_same_again.py::test_importing_the_same_thing_twice_changes_nothing",
    ),
    "A local computer's import removes nothing": (
        f"{MERGE}::test_what_only_adds_removes_nothing",
        "refreshes/test_local_computer.py::test_a_person_works_between_two_uploads_and_a_third_finds_it",
        "refreshes/test_local_computer.py::"
        "test_what_was_uploaded_stays_after_another_import_has_registered_the_dataset",
    ),
    # Edits in the gallery.
    "What people save in the gallery": (f"{SAVES}::test_edits_of_people_survive_the_next_refresh",),
    "A save holds the dataset's lease": (
        f"{BESIDE}::test_a_save_while_the_nightly_run_registers_waits_and_says_what_for",
        f"{BESIDE}::test_saves_at_the_same_moment_wait_for_each_other",
        "refreshes/test_waiting.py::test_a_run_waits_for_a_save_of_the_gallery",
    ),
    "The entries that a save changed are in": (
        f"{SAVES}::test_labels_boxes_and_names_are_saved",
        f"{BESIDE}::test_an_edit_right_before_sending_is_kept_and_recorded",
    ),
    "To go back, send that manifest": (f"{SAVES}::test_a_save_is_taken_back_by_sending_what_was_there_before",),
    # Registration.
    "writes an import to Rekognition": ("refreshes/test_what_is_asked_for.py::test_one_task_writes_to_rekognition",),
    "continues where the journal says": (
        KILLED,
        "refreshes/test_lost_answers.py::test_a_document_whose_write_is_not_answered_was_written",
        "refreshes/test_leases.py::test_a_run_that_still_runs_is_waited_for",
        "refreshes/test_edits_meanwhile.py::"
        "test_an_edit_after_a_worker_died_is_not_taken_for_the_batch_that_it_did_not_send",
        f"{AIRFLOW}::test_tasks_that_are_cleared_after_a_success_change_nothing",
    ),
    "It takes the lease on the dataset, makes sure that the plan still holds": (
        "object_store/test_registration_journal.py::test_one_run_at_a_time",
        "refreshes/test_leases.py::test_a_run_that_waited_plans_again_with_what_was_done_meanwhile",
        "refreshes/test_publishing.py::test_nothing_that_unfinished_runs_have_sent_is_forgotten",
    ),
    "because Rekognition cannot remove an entry": (
        "dags/test_refreshes.py::test_a_dataset_that_lost_images_is_replaced_and_risks_are_refused",
        "refreshes/test_several_imports.py::test_work_on_another_imports_image_stays_when_that_is_removed_elsewhere",
        f"{AIRFLOW}::test_a_run_that_is_deleted_in_the_middle_of_a_replacement_holds_nobody_up_and_loses_nothing",
    ),
    "If the creation fails": (
        "pipelines/test_registration_killed.py::test_a_replacement_that_fails_is_undone_at_once",
        "refreshes/test_replacements.py::"
        "test_a_replacement_that_cannot_be_created_leaves_what_is_left_and_keeps_the_rest_aside",
        "refreshes/test_replacements.py::"
        "test_a_replacement_that_can_neither_be_created_nor_undone_is_made_good_by_the_next_run",
    ),
    "never take the dataset over 250 labels": (
        "custom_labels/test_update_batches.py::test_what_is_planned_is_what_happens",
        "refreshes/test_many_labels.py::test_140_labels_are_renamed_in_two_batches",
    ),
    "where no order of batches achieves that": (
        "refreshes/test_many_labels.py::test_where_no_order_of_batches_will_do_the_dataset_is_replaced",
    ),
    "A run is green only over a dataset that it has verified": (
        "refreshes/test_replacements.py::test_unchanged_is_never_said_over_a_dataset_that_lost_its_entries",
        "refreshes/test_replacements.py::test_a_dataset_that_vanishes_during_an_update_is_not_a_success",
    ),
    "is verified by its counts, everything else": (
        "refreshes/test_what_is_asked_for.py::"
        "test_a_dataset_that_was_just_created_is_verified_by_its_counts_and_others_by_their_entries",
        "refreshes/test_edits_meanwhile.py::test_an_edit_after_the_last_write_is_a_persons_for_this_run_and_the_next",
    ),
    "What people changed meanwhile is kept": (
        "refreshes/test_edits_meanwhile.py::test_an_edit_after_the_last_write_is_a_persons_for_this_run_and_the_next",
        "refreshes/test_edits_meanwhile.py::test_an_edit_between_two_batches_stays",
    ),
    "Every write is fenced": (
        KILLED,
        f"{AIRFLOW}::test_a_run_that_is_stopped_right_before_its_update_keeps_what_a_person_does_meanwhile",
        f"{AIRFLOW}::test_a_run_that_is_stopped_right_before_its_update_finds_that_another_has_taken_over",
    ),
    "Right before each request the task checks": (
        "refreshes/test_edits_meanwhile.py::test_an_edit_after_the_plan_and_before_the_first_write_stays",
        "refreshes/test_runs_that_lost_their_place.py::"
        "test_a_run_that_sleeps_before_its_deletion_finds_that_another_has_taken_over",
    ),
    "With `distribution: rekognition`": (
        "refreshes/test_split.py::test_work_on_entries_that_rekognition_has_distributed_stays",
    ),
    "It holds the leases of both datasets": (
        "refreshes/test_split.py::test_a_distribution_waits_for_who_works_on_the_dataset",
        "refreshes/test_split.py::test_an_older_run_that_is_cleared_from_its_distribution_moves_nothing",
    ),
    "If somebody has changed the dataset, the run plans again": (
        "refreshes/test_edits_meanwhile.py::test_an_edit_after_the_plan_and_before_the_first_write_stays",
        "refreshes/test_gate.py::test_what_would_be_removed_may_not_differ_from_what_was_approved",
        "refreshes/test_overwriting.py::test_nobody_agreed_to_overwrite_what_came_after_the_plan",
        "refreshes/test_overwriting.py::test_who_accepts_the_risk_accepts_what_comes_after_the_plan",
        f"{AIRFLOW}::test_a_run_that_is_stopped_right_before_its_update_keeps_what_a_person_does_meanwhile",
    ),
    "A run that was paused while another one took over": (
        "refreshes/test_runs_that_lost_their_place.py::"
        "test_a_run_that_sleeps_before_its_write_finds_that_another_has_taken_over",
        f"{AIRFLOW}::test_a_run_that_is_stopped_right_before_its_update_finds_that_another_has_taken_over",
    ),
    "Clearing a task of an older run": (
        "refreshes/test_runs_that_lost_their_place.py::"
        "test_an_older_run_that_is_cleared_from_its_write_overwrites_nothing",
        f"{AIRFLOW}::test_tasks_that_are_cleared_after_a_success_change_nothing",
    ),
    "is not taken for ours (`DATASET_TAKEN`)": (
        "refreshes/test_replacements.py::test_a_dataset_that_somebody_else_made_meanwhile_is_not_taken_for_ours",
        "refreshes/test_replacements.py::test_an_empty_dataset_that_somebody_made_meanwhile_is_not_taken_for_ours",
        "refreshes/test_replacements.py::test_a_dataset_of_most_of_our_lines_is_not_taken_for_ours",
    ),
    "and was killed before it could note it": (
        "refreshes/test_replacements.py::test_an_edit_of_a_dataset_whose_creation_was_not_noted_is_kept",
        "refreshes/test_replacements.py::test_a_dataset_that_cannot_be_told_from_somebody_elses_is_merged_by_the_next_run",
    ),
    "While another run or a save of the gallery holds the lease": (
        "refreshes/test_waiting.py::test_a_run_goes_on_once_the_other_has_ended",
        "refreshes/test_waiting.py::test_a_run_waits_for_a_save_of_the_gallery",
        "refreshes/test_edits_meanwhile.py::test_a_run_waits_for_an_update_that_is_under_way",
        "refreshes/test_edits_meanwhile.py::test_a_run_does_not_overwrite_somebody_who_edits_all_the_time",
    ),
    "the task waits without a worker": (
        "refreshes/test_waiting.py::test_a_run_that_waits_for_a_lease_takes_no_worker",
        "refreshes/test_waiting.py::test_a_run_that_waits_for_an_operation_takes_no_worker",
        "refreshes/test_waiting.py::test_a_run_that_waits_for_people_who_go_on_editing_takes_no_worker",
    ),
    "for `max_wait_minutes` at most": ("refreshes/test_waiting.py::test_a_run_waits_for_as_long_as_it_may",),
    "The lease of a run that has ended": (
        "refreshes/test_leases.py::test_a_run_that_was_deleted_in_airflow_has_ended",
        "refreshes/test_leases.py::test_a_run_of_another_airflow_is_waited_for",
        "refreshes/test_waiting.py::test_a_run_goes_on_once_the_other_has_ended",
        f"{AIRFLOW}::test_a_run_that_is_deleted_in_the_middle_of_a_replacement_holds_nobody_up_and_loses_nothing",
    ),
    # Nothing changed.
    "a run ends green without reading an image or an entry": (
        "refreshes/test_what_is_asked_for.py::"
        "test_where_nothing_has_changed_no_image_and_no_entry_is_read_and_nobody_is_told",
        "refreshes/test_what_is_asked_for.py::test_entries_are_read_where_somebody_has_changed_the_dataset",
    ),
    "Its snapshot says so": (
        "refreshes/test_what_is_asked_for.py::"
        "test_where_nothing_has_changed_no_image_and_no_entry_is_read_and_nobody_is_told",
    ),
    "The asset event is sent when the dataset's content": (
        "refreshes/test_asset_events.py::test_an_event_tells_of_content_that_differs_from_that_of_the_last_event",
        "refreshes/test_asset_events.py::test_an_edit_that_is_taken_back_is_no_new_content",
    ),
    "an event that a killed worker did not send": (
        "refreshes/test_publishing.py::test_a_second_try_sends_the_event_that_the_first_could_not_send",
        "refreshes/test_publishing.py::test_the_next_run_sends_the_event_of_a_run_that_died",
    ),
    "are those of the last ledger are never read again": (
        "refreshes/test_what_is_asked_for.py::test_only_images_that_the_last_ledger_does_not_know_are_read",
        "custom_labels/test_known_images.py::test_changed_images_are_read",
    ),
    # The gate.
    "Before the first write, the new manifest is compared": (
        "custom_labels/test_risks.py::test_risks_begin_where_they_are_said_to",
        "refreshes/test_gate.py::test_a_run_that_may_ask_nobody_goes_on_or_fails_before_any_write",
    ),
    "| `never` |": ("refreshes/test_gate.py::test_a_run_that_may_ask_nobody_goes_on_or_fails_before_any_write",),
    "| `on_risk` |": (
        "refreshes/test_gate.py::test_who_waits_for_a_person",
        "e2e/test_demo.py::test_a_new_label_waits_for_a_person_who_sees_what_it_is_about_and_approves",
    ),
    "| `always` |": (
        "refreshes/test_gate.py::test_who_waits_for_a_person",
        f"{AIRFLOW}::test_a_rejection_fails_the_run_and_changes_nothing",
    ),
    "The person sees what would happen": (
        "pipelines/test_required_action.py::test_the_question_says_what_would_happen_why_and_what_to_do",
        "pipelines/test_samples.py::test_pictures_are_written_and_reasons_given",
        "e2e/test_demo.py::test_a_new_label_waits_for_a_person_who_sees_what_it_is_about_and_approves",
    ),
    "a rejection fails the run and changes nothing": (
        f"{AIRFLOW}::test_a_rejection_fails_the_run_and_changes_nothing",
    ),
    "no answer within seven days": ("refreshes/test_gate.py::test_nobody_answers_within_seven_days",),
    "Who approved, and when": (
        "e2e/test_demo.py::test_a_new_label_waits_for_a_person_who_sees_what_it_is_about_and_approves",
        "pipelines/test_report.py::test_everything_is_said",
    ),
    "The lease is taken only afterwards": (
        "refreshes/test_gate.py::test_a_run_that_waits_for_a_person_holds_no_lease",
    ),
    # Snapshots.
    "Every run leaves an immutable snapshot": (
        "object_store/test_snapshots.py::test_a_snapshot_is_never_changed",
        "refreshes/test_going_back.py::test_a_run_of_a_schedule_never_goes_back",
        "dags/test_import_s3_folder.py::test_build_only_leaves_rekognition_alone",
    ),
    "where something was removed or gave way, `entries.manifest`": (
        "refreshes/test_work_kept_aside.py::test_work_kept_aside_gives_way_to_what_a_person_says_of_the_image_since",
        "refreshes/test_three_versions.py::test_what_gives_way_is_in_the_snapshot",
        "refreshes/test_vanished_datasets.py::"
        "test_work_that_gives_way_in_a_dataset_that_is_created_anew_is_in_the_snapshot",
        "refreshes/test_vanished_datasets.py::test_work_kept_aside_that_gives_way_to_the_source_is_in_the_snapshot",
        "refreshes/test_three_versions.py::"
        "test_what_is_gone_is_removed_and_remembered_as_long_as_a_person_worked_on_it",
        "refreshes/test_repeated_times.py::"
        "test_a_replacement_after_a_run_that_held_of_the_same_time_names_what_it_removed",
    ),
    "A snapshot's id covers all of it": (
        "object_store/test_snapshots.py::test_ids_hold_utc_and_a_digest_of_everything",
        "object_store/test_snapshots.py::test_whatever_differs_makes_another_snapshot",
    ),
    "prints the difference of two of them": (
        "object_store/test_snapshot_contents.py::test_the_command_compares_addresses",
        "custom_labels/test_command_line.py::test_diff_of_manifests",
    ),
    "Scheduled and backfilled runs never go back": (
        "refreshes/test_going_back.py::test_a_run_of_a_schedule_never_goes_back",
        "refreshes/test_repeated_times.py::test_a_superseded_run_changes_nothing_and_is_nobodys_base",
    ),
    "does go back": ("refreshes/test_going_back.py::test_a_run_that_a_person_triggers_does_go_back",),
    # Damaged documents.
    "A run checks the documents that it builds on": (REFUSED,),
    "whose own digest is in `current.json`": (
        REFUSED,
        "object_store/test_registered_snapshot.py::test_a_summary_that_was_edited_is_refused",
        "object_store/test_registered_snapshot.py::test_each_damage_of_each_object_is_refused_before_its_first_row",
    ),
    "One that is missing, cut off, edited or of another release": (
        REFUSED,
        "object_store/test_documents.py::test_each_damage_of_each_document_has_a_code_and_a_way_out",
    ),
    "a damaged one of these is passed over": (
        "object_store/test_registered_snapshot.py::test_the_nearest_snapshot_is_a_whole_one",
        "refreshes/test_publishing.py::test_a_damaged_snapshot_that_no_registration_builds_on_is_passed_over",
    ),
    "Otherwise rebuild the dataset's documents": (REFUSED, f"{DAMAGED}::test_the_command"),
    "`--dry-run` says what is damaged": (REFUSED, f"{DAMAGED}::test_the_command"),
    "takes the dataset's lease, so that": (f"{DAMAGED}::test_nobody_is_disturbed",),
    "finds the newest snapshot of each import": (
        f"{DAMAGED}::test_a_dry_run_is_never_the_base",
        f"{DAMAGED}::test_an_import_beside_keeps_its_base",
    ),
    "reads the dataset's entries from Rekognition": (REFUSED,),
    "writes a new snapshot with the ledger": (
        f"{DAMAGED}::test_what_is_found_and_done_is_said",
        f"{LOST}::test_work_that_one_import_kept_aside_outlives_a_damage_after_another_import",
        f"{DAMAGED}::test_an_import_beside_keeps_its_base",
    ),
    "each on the condition that nobody else did": (
        f"{DAMAGED}::test_a_run_that_registers_meanwhile_is_not_overwritten",
    ),
    "says they were sent are the import's": (f"{DAMAGED}::test_what_is_found_and_done_is_said",),
    "All others are a person's and stay": (
        REFUSED,
        f"{DAMAGED}::test_without_any_whole_snapshot_everything_is_a_persons",
    ),
    "Work that was kept aside is taken from": (
        f"{DAMAGED}::test_work_is_taken_from_a_later_ledger_whose_snapshot_is_not_whole",
        f"{DAMAGED}::test_all_exports_that_no_snapshot_accounts_for_are_named",
        f"{LOST}::test_work_that_both_imports_kept_aside_comes_back_to_the_import_that_brings_the_image",
        f"{LOST}::test_what_a_dead_run_had_sent_is_not_kept_aside_as_a_persons",
        f"{LOST}::test_what_another_import_had_sent_and_removed_is_not_kept_aside_as_a_persons",
    ),
    "The journal goes on naming the export": (
        f"{DAMAGED}::test_all_exports_that_no_snapshot_accounts_for_are_named",
        f"{LOST}::test_of_two_dead_runs_the_older_document_is_named_where_the_newer_one_is_lost",
    ),
    "If the journal is lost, it names the exports": (
        f"{LOST}::test_a_journal_that_is_lost_in_the_middle_of_a_replacement",
        f"{LOST}::test_what_a_dead_run_has_overwritten_is_told_of_once_although_the_journal_is_lost",
        f"{LOST}::test_what_dead_runs_of_two_imports_have_left_is_named_again",
    ),
    "Documents of runs that ended well are not named again": (
        f"{LOST}::test_what_a_dead_run_has_overwritten_is_told_of_once_although_the_journal_is_lost",
        f"{LOST}::test_a_persons_line_that_says_what_was_sent_once_stays_theirs_although_the_journal_is_lost",
    ),
    "Nothing is deleted": (REFUSED, f"{DAMAGED}::test_a_dataset_that_is_gone_keeps_its_documents"),
    "| `--take-lease` |": (f"{DAMAGED}::test_nobody_is_disturbed",),
    "| `--without-export` |": (f"{DAMAGED}::test_an_export_that_is_gone_is_given_up_only_on_demand",),
    "| `--aws-profile`, `--aws-region` |": (f"{DAMAGED}::test_the_command",),
    "The command exits with 0": (f"{DAMAGED}::test_the_command",),
    "then merges as usual": ("refreshes/test_damaged_documents.py::test_work_outlives_a_damaged_document",),
}
"""Tests by what they hold; a test is named by its module below `tests/` and its function."""

EXPLAINS = (
    "What an import may do to a dataset that exists already",
    "Scheduled refreshes are [datasets as code]",
    # The words that the table of outcomes uses.
    "| base |",
    "| theirs |",
    "| ours | the line",
    # What no test can promise, since it is Rekognition's or S3's doing.
    "such a move is not recognized",
    "an edit of the same entry can still be overwritten",
    "The same is true between two batches",
    # What the tables and lists below them say is held there.
    "`approval` says what becomes",
    # Names of what follows.
    "**Begin.**",
    "**Verify.**",
    "**Waiting instead of failing.**",
    # What to do.
    "The workspace is all that says",
    "If the bucket has versions, restore",
    "Do not delete a damaged document",
)
"""Sentences that promise nothing."""


def sentences(markdown: str) -> list[str]:
    """The sentences of a page, each in one line, and the rows of its tables; without headings and code."""
    found: list[str] = []
    for block in re.split(r"\n\s*\n", re.sub(r"^```.*?^```$", "", markdown, flags=re.MULTILINE | re.DOTALL)):
        lines = block.strip().splitlines()
        if any(line.startswith("|") for line in lines):
            rows = [line for line in lines if line.startswith("|")]
            found += rows[2:]
            continue
        # Each item of a list begins a text of its own.
        text = "\n".join(line for line in lines if not line.startswith("#"))
        for item in re.split(r"(?:^|\n)(?:\d+\.|-) ", text):
            found += re.split(r"(?<=[.?!]) (?=[A-Z`*\[])|(?<=[.?!]\*\*) ", " ".join(item.split()))
    return [sentence for sentence in found if sentence]


SENTENCES = sentences(PAGE.read_text())


def unheld(found: list[str], quotes: list[str]) -> list[str]:
    return [sentence for sentence in found if not any(quote in sentence for quote in quotes)]


def test_every_sentence_is_held_or_promises_nothing() -> None:
    assert unheld(SENTENCES, [*HELD, *EXPLAINS]) == []


@pytest.mark.parametrize("quote", [*HELD, *EXPLAINS])
def test_a_quote_is_of_one_sentence_of_the_page(quote: str) -> None:
    assert len([sentence for sentence in SENTENCES if quote in sentence]) == 1


@cache
def functions_of(module: Path) -> frozenset[str]:
    """The names of a module's tests, as pytest collects them; without those that are marked not to count."""
    return frozenset(
        node.name
        for node in ast.parse(module.read_text()).body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.name.startswith("test_")
        and not any(re.search(r"mark\.(skip|xfail|docker)", ast.unparse(each)) for each in node.decorator_list)
    )


@pytest.mark.parametrize("name", sorted({name for names in HELD.values() for name in names}))
def test_a_test_that_holds_a_promise_exists(name: str) -> None:
    module, _, function = name.partition("::")
    path = TESTS / module
    assert path.name.startswith("test_")
    assert function in functions_of(path)


def test_a_promise_that_nobody_holds_is_found() -> None:
    page = """# Refreshes

A run is green. It is
also **fast**: always. Nothing else (`NOTHING_ELSE`).

1. **First.** It begins,
   and goes on.
2. second;

| a | b |
|---|---|
| one | two |

```sh
Code promises nothing.
```
"""
    found = sentences(page)
    assert found == [
        "A run is green.",
        "It is also **fast**: always.",
        "Nothing else (`NOTHING_ELSE`).",
        "**First.**",
        "It begins, and goes on.",
        "second;",
        "| one | two |",
    ]
    assert unheld(found, ["is green", "always", "NOTHING", "First", "goes on", "second"]) == ["| one | two |"]
