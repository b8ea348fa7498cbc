"""The programs of this folder, and how many runs each may take to fail."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, NamedTuple

from tests.known_bugs import (
    any_await,
    cancelling,
    connections,
    crashes,
    datagrams,
    durations,
    faults,
    hard,
    locks,
    network,
    state,
    timing,
    workers,
)

Program = Callable[[bool], Coroutine[Any, Any, None]]

SIMPLE, HARD = 200, 5_000
_WITH_NETWORK = (".network", ".connections", ".datagrams")


class Bug(NamedTuple):
    """A program with a bug.

    Attributes:
        program: the program; called with whether it is fixed.
        runs: in how many runs it has to be found.
    """

    program: Program
    runs: int = SIMPLE

    @property
    def name(self) -> str:
        """What it is called."""
        return self.program.__name__

    @property
    def runs_of_twin(self) -> int:
        """How many schedules the tests try of its twin; those with a network take longer."""
        if self.has_faults:
            return 10
        return 20 if self.program.__module__.endswith(_WITH_NETWORK) else 40

    @property
    def has_faults(self) -> bool:
        """Whether it needs faults of the network or of hosts."""
        return self.program.__module__.endswith((".crashes", ".faults"))

    @property
    def is_shrunk(self) -> bool:
        """Whether the tests shrink its failure; that of others takes longer than to find it."""
        return self.runs == SIMPLE and not self.has_faults

    @property
    def main(self) -> Callable[[], Coroutine[Any, Any, None]]:
        """The program with its bug."""
        return partial(self.program, False)

    @property
    def fixed(self) -> Callable[[], Coroutine[Any, Any, None]]:
        """Its twin without."""
        return partial(self.program, True)


BUGS = (
    Bug(state.lost_update),
    Bug(state.check_then_act),
    Bug(state.double_initialisation),
    Bug(state.write_behind),
    Bug(state.limit_exceeded),
    Bug(state.subscriber_lost),
    Bug(state.iteration_over_changing),
    Bug(state.half_done_transfer),
    Bug(timing.cache_stampede),
    Bug(timing.token_refresh),
    Bug(timing.out_of_order_answers),
    Bug(timing.lease_expired),
    Bug(timing.heartbeat_missed),
    Bug(timing.retry_applied_twice),
    Bug(locks.lock_order),
    Bug(locks.dining_philosophers, HARD),
    Bug(locks.missed_notification),
    Bug(locks.event_cleared),
    Bug(locks.semaphore_wake_up_lost),
    Bug(locks.notify_one_of_two_kinds),
    Bug(locks.upgraded_lock),
    Bug(cancelling.unread_reply),
    Bug(cancelling.swallowed_cancellation),
    Bug(cancelling.queue_item_lost),
    Bug(cancelling.lock_kept),
    Bug(cancelling.close_while_in_use),
    Bug(cancelling.clean_up_skipped),
    Bug(any_await.handed_over_item_lost),
    Bug(any_await.permit_lost),
    Bug(any_await.reply_of_another),
    Bug(any_await.cancelled_when_done),
    Bug(any_await.transfer_without_rollback),
    Bug(any_await.slot_kept),
    Bug(workers.shut_down_too_early),
    Bug(workers.sentinel_overtakes),
    Bug(workers.results_by_completion),
    Bug(workers.thread_against_loop),
    Bug(workers.started_before_ready),
    Bug(workers.version_overwritten),
    Bug(durations.closed_twice),
    Bug(durations.lost_at_time_out),
    Bug(durations.paid_again_after_time_out),
    Bug(durations.flush_after_close),
    Bug(durations.failed_over_too_early),
    Bug(durations.dispatched_out_of_order),
    Bug(durations.lock_released_late),
    Bug(durations.debounced_twice),
    Bug(durations.stale_refresh),
    Bug(durations.stopped_half_way),
    Bug(durations.reconnected_twice),
    Bug(durations.charged_by_both),
    Bug(durations.taken_in_the_last_moment),
    Bug(durations.probed_by_all),
    Bug(durations.retried_while_running),
    Bug(network.partial_read),
    Bug(network.glued_messages),
    Bug(network.body_expected_with_head),
    Bug(network.character_cut_in_two),
    Bug(network.end_taken_for_complete),
    Bug(network.reply_given_to_another),
    Bug(network.reply_left_by_time_out),
    Bug(network.two_writers_on_a_connection),
    Bug(network.stale_connection_from_pool),
    Bug(network.sent_again_and_applied_twice),
    Bug(network.reconnect_storm),
    Bug(network.started_before_server),
    Bug(connections.gone_peer_stops_broadcast),
    Bug(connections.reset_during_upload),
    Bug(connections.closed_before_it_was_read),
    Bug(connections.close_of_old_connection_drops_new),
    Bug(connections.lost_close),
    Bug(connections.slow_reader_blocks_others),
    Bug(connections.slow_reader_fills_memory),
    Bug(connections.closed_while_requests_run),
    Bug(datagrams.older_position_wins),
    Bug(datagrams.fragments_put_together_as_they_come),
    Bug(datagrams.answers_in_the_order_of_questions),
    Bug(datagrams.split_brain),
    Bug(datagrams.late_heartbeat),
    Bug(faults.deposit_repeated_after_reset),
    Bug(faults.pooled_connection_broken),
    Bug(faults.subscription_forgotten),
    Bug(faults.leader_writes_after_its_lease),
    Bug(faults.counter_loses_in_partition),
    Bug(faults.read_from_a_replica_behind),
    Bug(faults.measurement_sent_once),
    Bug(faults.question_without_time_out),
    Bug(crashes.log_not_synced),
    Bug(crashes.settings_written_in_place),
    Bug(crashes.log_removed_before_its_snapshot_is_there),
    Bug(crashes.feed_without_heartbeat),
    Bug(crashes.session_of_before_the_restart),
    Bug(crashes.job_of_a_crashed_worker),
    Bug(crashes.event_lost_between_store_and_broker),
    Bug(crashes.file_moved_twice),
    Bug(hard.four_constraints, HARD),
    Bug(hard.starved_task, HARD),
    Bug(hard.one_of_5040_orders, HARD),
    Bug(hard.ladder, HARD),
    Bug(hard.ladder_of_flags, HARD),
)
