"""The planted bugs: where, what is there, what is put in its place, and the test that must turn red.

Each is a mistake that operators of this kind have shipped. When the text in `old` no longer occurs exactly once, the
entry is out of date, and `test_gates.py` says so: bring it up to date, don't drop it.
"""

from tests.gates import bugs_of_children, bugs_of_locks, bugs_of_memory, bugs_of_policy
from tests.gates.bug import OPERATOR, Bug, scenario, unit

__all__ = ["BUGS", "Bug"]

BUGS: tuple[Bug, ...] = (
    Bug(
        "an error while the status is written is swallowed, and nobody comes back to write it",
        f"{OPERATOR}/reconciler.py",
        "            answer = await self._cluster.apply_status(manifest)\n",
        "            try:\n                answer = await self._cluster.apply_status(manifest)\n"
        "            except errors.ClusterError:\n                return\n",
        unit("test_simulation", "test_a_status_that_could_not_be_written_brings_the_operator_back"),
    ),
    Bug(
        "a delete means a name, so that it hits the successor of what was looked at",
        f"{OPERATOR}/cluster.py",
        '{"propagationPolicy": "Background", "preconditions": {"uid": uid}}',
        '{"propagationPolicy": "Background"}',
        unit("test_cluster", "test_a_delete_means_one_object_and_not_whatever_has_its_name"),
    ),
    Bug(
        "a create takes over what somebody else has put there since the look",
        f"{OPERATOR}/cluster.py",
        'expected = {"resourceVersion": _NO_VERSION}',
        "expected = {}",
        unit("test_cluster", "test_a_create_fails_where_something_is_by_naming_a_version_that_nothing_has"),
    ),
    Bug(
        "writes rest on memory alone, however old",
        f"{OPERATOR}/sight.py",
        "return remembered if _rests_on_memory(decided) else await self._confirm(key, remembered)",
        "return Sight(body, decided, is_live=True)",
        unit("test_simulation", "test_every_invariant_holds_in_stories_of_sixty_steps[1]"),
    ),
    Bug(
        "the number of pods is applied although an autoscaler owns it",
        f"{OPERATOR}/desired/deployment.py",
        "if creating or model_deployment.spec.autoscaling is None:",
        "if creating or model_deployment.spec is not None:",
        scenario(
            "switching to an autoscaler keeps the number of pods, and the autoscaler's number is left alone"
        ),
    ),
    Bug(
        "a field is let go before another owns it: the number of pods falls back to 1",
        f"{OPERATOR}/plan.py",
        "        actions.extend(_hand_over(wanted, live, least))\n",
        "        pass\n",
        scenario(
            "switching to an autoscaler keeps the number of pods, and the autoscaler's number is left alone"
        ),
    ),
    Bug(
        "the environment of a pod is in no fixed order: each start of the operator renders another template",
        f"{OPERATOR}/desired/container.py",
        "for key, value in {**env, **shared}.items()",
        "for key, value in {*env.items(), *shared.items()}",
        unit("test_golden", "test_a_resource_is_rendered_as_written_down"),
    ),
    Bug(
        "a later operator renders revisions anew that exist, and restarts every pod in the cluster",
        f"{OPERATOR}/decision.py",
        'return revision.build(visit.identity, visit.revision, stored["data"], number, written)',
        'return revision.build(visit.identity, visit.revision, {"intent": revisions.intent(model_deployment),'
        ' "template": pod.render(model_deployment, visit.revision, settings)}, number, written)',
        scenario("a later operator with another runtime image restarts nothing that exists"),
    ),
    Bug(
        "a watch that breaks dies quietly, and the process lives on, deaf",
        f"{OPERATOR}/watching.py",
        "            except _Broken as error:\n",
        "            except _Broken as error:\n                return\n",
        unit("test_watching", "test_what_can_be_ridden_through_is_and_the_watch_resumes_where_it_was"),
    ),
    Bug(
        "an older event replaces what is newer",
        f"{OPERATOR}/store.py",
        "if before is not None and before.version >= meta.version:",
        "if before is not None and before.version == meta.version:",
        unit("test_store", "test_an_older_or_the_same_version_changes_nothing_and_concerns_nobody"),
    ),
    Bug(
        "a list does not show what has gone while nobody watched",
        f"{OPERATOR}/store.py",
        "if is_meant and place not in kept and entry.version <= version:",
        "if is_meant and place not in kept and entry.version < 0:",
        unit("test_store", "test_a_list_takes_what_it_lacks_but_not_what_is_newer_than_itself"),
    ),
    Bug(
        "what we have deleted comes back with a late event",
        f"{OPERATOR}/store.py",
        "            self._deleted[uid] = (plural, namespace, name)\n",
        "            pass\n",
        unit("test_store", "test_what_we_deleted_does_not_come_back_with_a_late_event"),
    ),
    Bug(
        "a deaf watch is noticed and nothing is done about it",
        f"{OPERATOR}/freshness.py",
        "                if still_there:\n",
        "                if still_there - late:\n",
        unit("test_freshness", "test_a_watch_that_misses_an_object_or_its_newest_version_is_deaf"),
    ),
    Bug(
        "the fence does not look at its clock: who was stopped for a minute goes on writing",
        f"{OPERATOR}/fence.py",
        "return max(0.0, self._until - self.now())",
        "return max(0.0, self._until)",
        unit("test_fence", "test_it_is_closed_until_it_is_opened_and_when_its_time_is_over"),
    ),
    Bug(
        "a Lease is taken although its holder may still write",
        f"{OPERATOR}/lease.py",
        "expires = seen.since + max(promised, DURATION_SECONDS)",
        "expires = seen.since",
        unit("test_leadership", "test_one_leads_at_once_and_the_other_stands_by"),
    ),
    Bug(
        "a key is visited twice at the same time",
        f"{OPERATOR}/workqueue.py",
        "        if key in self._in_flight:\n",
        "        if key in self._again:\n",
        unit(
            "test_workqueue",
            "test_a_key_is_never_in_flight_twice_and_what_came_meanwhile_is_visited_afterwards",
        ),
    ),
    Bug(
        "a failure is tried again at once, for ever",
        f"{OPERATOR}/workqueue.py",
        "FIRST_RETRY_SECONDS * 2 ** min(failures - 1, _MOST_DOUBLINGS)",
        "FIRST_RETRY_SECONDS * 0 ** min(failures - 1, _MOST_DOUBLINGS)",
        unit("test_workqueue", "test_errors_are_retried_with_growing_patience_and_success_forgets_them"),
    ),
    Bug(
        "an overloaded API server's Retry-After is not heard",
        f"{OPERATOR}/workqueue.py",
        "            seconds = max(seconds, error.retry_after_seconds)\n",
        "            seconds = seconds + 0\n",
        unit("test_workqueue", "test_the_api_servers_own_wish_to_wait_is_granted"),
    ),
    Bug(
        "an unforeseen error in one resource ends the worker, and with it every other resource",
        f"{OPERATOR}/workqueue.py",
        "        except Exception as error:  # the outermost loop: one resource must never stop the others\n",
        "        except errors.ClusterError as error:\n",
        unit("test_workqueue_signs", "test_errors_are_counted_by_what_failed"),
    ),
    Bug(
        "liveness never fails on a queue that stands still",
        f"{OPERATOR}/health.py",
        "if stuck_seconds > STUCK_SECONDS:",
        "if stuck_seconds < 0:",
        unit("test_health", "test_liveness_fails_on_a_queue_that_stands_still_and_says_so"),
    ),
    Bug(
        "a finalizer is set on children, and deletions hang when the operator is gone",
        f"{OPERATOR}/desired/meta.py",
        '        "labels": naming.child_labels(identity.name),\n',
        '        "labels": naming.child_labels(identity.name),\n        "finalizers": ["modelyard.dev/cleanup"],\n',
        unit("test_golden", "test_a_resource_is_rendered_as_written_down"),
    ),
    Bug(
        "an owner is known by its name: a new resource takes the children of its dead predecessor for its own",
        f"{OPERATOR}/objects.py",
        'return controller is not None and controller.get("uid") == uid',
        'return controller is not None and controller.get("kind") == naming.KIND',
        unit("test_objects", "test_an_owner_is_a_uid_and_never_a_name"),
    ),
    Bug(
        "what has labels like ours is adopted, whoever made it",
        f"{OPERATOR}/adoption.py",
        "and bool(drift.owned_fields(manifest, naming.MANAGER))",
        "and manifest is not None",
        scenario("what only has our labels, or only our field manager, is somebody else's"),
    ),
    Bug(
        "somebody else's object of our name is written to",
        f"{OPERATOR}/plan.py",
        "return adoption.is_ours(live, identity) and",
        "return identity is not None and",
        scenario(
            "an object of our name that is somebody else's is never touched, and the resource says what to do"
        ),
    ),
    Bug(
        "a rollback forgets why it went back, and tries the broken model again and again",
        f"{OPERATOR}/rollout.py",
        "if marked is not None and marked.attempt == marks.attempt(model_deployment):",
        "if marked is not None and marked.attempt == model_deployment.identity.uid:",
        unit("test_scenarios", "test_scenario"),
    ),
    Bug(
        "Ready is told from a Deployment's status that speaks of an earlier spec",
        f"{OPERATOR}/revisions.py",
        'return bool(seen >= deployment["metadata"]["generation"])',
        "return bool(seen >= 0)",
        scenario("a new resource gets its children and says that it is on its way, at the first visit"),
    ),
    Bug(
        "pods of another revision are asked why this one fails",
        f"{OPERATOR}/failures.py",
        'if revisions.revision_of(pod) == revision and "deletionTimestamp" not in pod["metadata"]',
        'if "deletionTimestamp" not in pod["metadata"]',
        scenario("a revision's failure is told from its own pods only"),
    ),
    Bug(
        "the history forgets the revision that a rollback needs",
        f"{OPERATOR}/revisions.py",
        'if manifest["metadata"]["name"] not in {*in_use, *kept})',
        'if manifest["metadata"]["name"])',
        scenario("the history never loses the revision to go back to, however short it is"),
    ),
    Bug(
        "paused holds nothing",
        f"{OPERATOR}/decision.py",
        "    if model_deployment.spec.paused:\n",
        "    if not model_deployment:\n",
        scenario("paused holds every change but the status, and says what it holds"),
    ),
    Bug(
        "any label may be put on a pod, and wakes whatever injector listens to it",
        f"{OPERATOR}/desired/pod.py",
        'if not key.startswith(allowed or ("\\0",)):',
        'if key.startswith("\\0"):',
        scenario(
            "a runtime class, format or label that is not offered is stalled with the remedy until corrected"
        ),
    ),
    Bug(
        "one transition is told in two Events",
        f"{OPERATOR}/events.py",
        '        was.get("lastTransitionTime", ""),\n',
        "        object(),\n",
        unit("test_events", "test_one_transition_has_one_name_and_another_has_another"),
    ),
    Bug(
        "a log line carries a URI with its password",
        f"{OPERATOR}/logs.py",
        "line[key] = redaction.redact(value) if isinstance(value, str) else value",
        "line[key] = value",
        "tests/unit/operator/test_secrets.py",
    ),
    Bug(
        "the operator may read Secrets",
        "charts/modelyard/templates/rbac.yaml",
        '- apiGroups: [""]\n  resources: [pods]\n  verbs: [list, watch, delete]\n',
        '- apiGroups: [""]\n  resources: [pods, secrets]\n  verbs: [list, watch, delete]\n',
        "tests/contract/test_rights.py",
    ),
    *bugs_of_children.BUGS,
    *bugs_of_locks.BUGS,
    *bugs_of_memory.BUGS,
    *bugs_of_policy.BUGS,
)
