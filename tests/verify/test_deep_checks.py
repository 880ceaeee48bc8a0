"""What hosts and probe pods answered, recorded: each check is green on the good answer and red on each bad one."""

import json
import subprocess
import tarfile
from dataclasses import replace
from io import BytesIO

import pytest

from bootstrap.deep_checks import (
    NAMESPACE_PREFIX,
    ProbePod,
    ProbeState,
    ask_script,
    choose_targets,
    create_script,
    judge_answers,
    judge_pods,
    look_script,
    make_objects,
    make_questions,
    read_look,
)
from bootstrap.deep_hosts import host_script, judge_host, make_image, restore_script
from bootstrap.driver import DeepTools

URL = "https://10.77.0.11:6443"
TOOLS = DeepTools(
    program="/usr/local/bin/kubectl",
    images=("ctr", "-n", "k8s.io", "images"),
    admin_kubeconfig="/etc/kubernetes/admin.conf",
    kubelet_kubeconfig="/etc/kubernetes/kubelet.conf",
    certificates=("/etc/kubernetes/pki/*.crt", "/srv/my data/*/x.crt"),
    renewal="kubeadm certs renew all",
)
PODS = (
    ProbePod("probe-a", "h1", "10.244.1.5"),
    ProbePod("probe-b", "h2", "10.244.2.5"),
    ProbePod("probe-c", "h3", "fd00:2::5"),
)
STATE = ProbeState(PODS, "10.96.0.7")
NAMESPACE = f"{NAMESPACE_PREFIX}abc123"


# --- one host ------------------------------------------------------------------------------------


def judge(text, urls=(URL,)):
    return {check.name: check for check in judge_host("h1", text, urls, "")}


GOOD_HOST = f"""program 0
image 0 bootstrap.invalid/probe:1 saved application/vnd.oci.image.manifest.v1+json sha256:5c1d
{URL} 0 ok
clock 0 1764046399
"""


def test_a_good_host_is_green_but_for_the_certificates_that_it_did_not_print():
    assert {name: check.ok for name, check in judge(GOOD_HOST).items()} == {
        "probe image": True,
        "endpoint": True,
        "certificates": False,
    }


@pytest.mark.parametrize(
    ("text", "detail"),
    [
        ("program 1 there is no /usr/local/bin/kubectl\nimage 0 \n", "there is no /usr/local/bin/kubectl"),
        ("program 0 \nimage 1 ctr: no space left on device\n", "ctr: no space left on device"),
        ("program 0 \nimage 124 \n", "no answer in time"),
        ("program 0 \nimage 7 \n", "exit code 7"),
        ("program 0 \n", "the host said nothing about it"),
        ("", "the host said nothing about it"),
    ],
)
def test_an_image_that_was_not_imported_is_red(text, detail):
    check = judge(text)["probe image"]
    assert (check.ok, check.detail, check.subject) == (False, detail, "h1")


@pytest.mark.parametrize(
    ("text", "detail"),
    [
        (
            f"{URL} 1 Unable to connect to the server: tls: failed to verify certificate: x509: certificate is valid for 10.96.0.1, not 10.77.0.11",
            f"{URL}: Unable to connect to the server: tls: failed to verify certificate: x509: certificate is valid for 10.96.0.1, not 10.77.0.11",
        ),
        (f"{URL} 0 <html>welcome</html>", f"{URL}: <html>welcome</html>"),
        ("", f"{URL}: not asked"),
    ],
)
def test_an_endpoint_that_does_not_answer_a_host_is_red(text, detail):
    check = judge(text)["endpoint"]
    assert (check.ok, check.detail) == (False, detail)


def test_one_silent_controller_of_two_is_red():
    other = "https://10.77.0.12:6443"
    check = judge(f"{URL} 0 ok\n{other} 1 refused\n", (URL, other))["endpoint"]
    assert (check.ok, check.detail) == (False, f"{other}: refused")


def test_no_endpoint_to_ask_is_red():
    assert not judge(GOOD_HOST, ())["endpoint"].ok


# --- pods ----------------------------------------------------------------------------------------


def recorded_pod(name="probe-a", node="h1", address="10.244.1.5", ready="True", waiting=None, scheduled=True):
    """A pod as the API gives it; one that is not scheduled yet names its node by affinity only."""
    match = {"key": "metadata.name", "operator": "In", "values": [node]}
    terms = {"nodeSelectorTerms": [{"matchFields": [match]}]}
    affinity = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": terms}}
    conditions = [
        {
            "type": "PodScheduled",
            "status": "True" if scheduled else "False",
            "reason": "Unschedulable",
            "message": "0/3 nodes are available: 1 Insufficient cpu.",
        }
    ]
    if scheduled:
        conditions.append({"type": "Ready", "status": ready, "reason": "ContainersNotReady"})
    state = {"waiting": waiting} if waiting else {"running": {}}
    return {
        "metadata": {"name": name, "ownerReferences": [{"kind": "DaemonSet"}]},
        "spec": {"affinity": affinity, **({"nodeName": node} if scheduled else {})},
        "status": {
            "phase": "Running" if scheduled else "Pending",
            "conditions": conditions,
            "containerStatuses": [{"name": "probe", "state": state}] if scheduled else None,
            **({"podIP": address} if address else {}),
        },
    }


def look(*pods, events=(), service="10.96.0.7"):
    return json.dumps(
        {"pods": {"items": list(pods)}, "service": {"spec": {"clusterIP": service}}, "events": {"items": list(events)}}
    )


def test_a_look_is_read():
    assert read_look(look(recorded_pod())) == ProbeState((PODS[0],), "10.96.0.7")


@pytest.mark.parametrize("text", ["", "{", '{"pods":', "Unable to connect to the server"])
def test_an_answer_that_is_cut_off_is_refused(text):
    with pytest.raises(ValueError, match=r"Expecting|delimiter"):
        read_look(text)


@pytest.mark.parametrize("text", ["{}", "[]", '{"pods": {"items": null}, "service": null, "events": 7}'])
def test_an_empty_answer_has_no_pods(text):
    assert read_look(text) == ProbeState(())


NEVER = {
    "reason": "ErrImageNeverPull",
    "message": 'Container image "bootstrap.invalid/probe:1" is not present with pull policy of Never',
}


@pytest.mark.parametrize(
    ("pod", "detail"),
    [
        (recorded_pod(waiting=NEVER), f"ErrImageNeverPull: {NEVER['message']}"),
        (recorded_pod(ready="False"), "ContainersNotReady: not yet"),
        (recorded_pod(address=""), "it has no address"),
        (recorded_pod(scheduled=False), "Unschedulable: 0/3 nodes are available: 1 Insufficient cpu."),
    ],
)
def test_a_pod_that_is_not_ready_is_red_on_its_node(pod, detail):
    [check] = judge_pods(["h1"], read_look(look(pod)))
    assert (check.name, check.ok, check.detail, check.subject) == ("probe pod", False, detail, "h1")


def test_a_node_without_a_pod_is_red_and_says_what_the_daemonset_complained_about():
    denied = {
        "type": "Warning",
        "involvedObject": {"kind": "DaemonSet"},
        "message": 'Error creating: admission webhook "policy" denied the request',
    }
    noise = [{**denied, "type": "Normal", "message": "x"}, {**denied, "involvedObject": {"kind": "Pod"}}]
    checks = judge_pods(["h1", "h2"], read_look(look(recorded_pod(), events=[denied, *noise])))
    assert [check.ok for check in checks] == [True, False]
    assert checks[1].detail == denied["message"]
    assert judge_pods(["h2"], read_look(look()))[0].detail == "no pod was made for this node"


# --- from pod to pod -----------------------------------------------------------------------------


def test_few_nodes_ask_all_others_and_many_ask_the_next_so_that_each_is_asked():
    assert [pod.node for pod in choose_targets(PODS[1], PODS)] == ["h3", "h1"]
    many = [ProbePod(f"p{number}", f"h{number}") for number in range(6)]
    asked = [target.node for pod in many for target in choose_targets(pod, many)]
    assert sorted(asked) == [pod.node for pod in many]
    assert all(choose_targets(pod, many) != (pod,) for pod in many)


def test_only_pods_that_are_ready_are_asked_and_addresses_make_urls():
    state = replace(STATE, pods=(*PODS, ProbePod("probe-d", "h4", "10.244.4.5", "not ready")))
    assert make_questions(PODS[0], state, NAMESPACE, "home.lan") == {
        "exec": "http://127.0.0.1:8080",
        "pod:h2": "http://10.244.2.5:8080",
        "pod:h3": "http://[fd00:2::5]:8080",
        "service": "http://10.96.0.7",
        "dns": f"http://probe.{NAMESPACE}.svc.home.lan",
    }


QUESTIONS = make_questions(PODS[0], STATE, NAMESPACE, "cluster.local")
GOOD = {
    "logs": "0 Starting to serve on [::]:8080",
    "exec": "0 probe-a",
    "pod:h2": "0 probe-b",
    "pod:h3": "0 probe-c",
    "service": "0 probe-c",
    "dns": "0 probe-b",
}


def answers(**changed):
    found = {**GOOD, **{label.replace("_", ":"): text for label, text in changed.items()}}
    text = "".join(f"{label} {said}\n" for label, said in found.items() if said is not None)
    return judge_answers(PODS[0], STATE, QUESTIONS, text)


def red(checks):
    return {check.name: check.detail for check in checks if not check.ok}


def test_good_answers_are_green_and_tell_who_was_reached():
    checks = answers()
    assert red(checks) == {}
    assert [(check.name, check.subject) for check in checks] == [
        (name, "h1") for name in ("logs", "exec", "pod to pod", "service", "dns")
    ]
    assert checks[2].detail == "reaches h2 (10.244.2.5:8080), h3 ([fd00:2::5]:8080)"


TIMEOUT = "1 Unable to connect to the server: context deadline exceeded command terminated with exit code 1"


@pytest.mark.parametrize(
    ("changed", "name", "detail"),
    [
        ({"logs": "1 Error from server: no route to host"}, "logs", "Error from server: no route to host"),
        ({"logs": "0"}, "logs", "empty"),
        ({"logs": None}, "logs", "not asked"),
        ({"exec": "1 error dialing backend: EOF"}, "exec", "error dialing backend: EOF"),
        ({"exec": "0 probe-b"}, "exec", "another one answered: probe-b"),
        ({"exec": "124"}, "exec", "no answer in time"),
        ({"logs": "143"}, "logs", "no answer in time"),
        ({"logs": "9"}, "logs", "exit code 9"),
        (
            {"pod_h2": TIMEOUT},
            "pod to pod",
            "h2 (10.244.2.5:8080): Unable to connect to the server: context deadline exceeded",
        ),
        ({"pod_h3": "0 probe-b"}, "pod to pod", "h3 ([fd00:2::5]:8080): another one answered: probe-b"),
        ({"pod_h3": None}, "pod to pod", "h3 ([fd00:2::5]:8080): not asked"),
        (
            {"service": TIMEOUT},
            "service",
            "10.96.0.7: Unable to connect to the server: context deadline exceeded",
        ),
        ({"service": "0 <html>"}, "service", "10.96.0.7: another one answered: <html>"),
        (
            {"dns": "1 dial tcp: lookup probe on 10.96.0.10:53: no such host"},
            "dns",
            f"probe.{NAMESPACE}.svc.cluster.local: dial tcp: lookup probe on 10.96.0.10:53: no such host",
        ),
        ({"dns": "0"}, "dns", f"probe.{NAMESPACE}.svc.cluster.local: another one answered: nothing"),
    ],
)
def test_a_bad_answer_makes_its_own_check_red(changed, name, detail):
    assert red(answers(**changed)) == {name: detail}


def test_the_only_node_has_nobody_to_ask_but_the_service_and_dns():
    state = ProbeState(PODS[:1], "10.96.0.7")
    questions = make_questions(PODS[0], state, NAMESPACE, "cluster.local")
    checks = judge_answers(PODS[0], state, questions, "")
    assert [check.name for check in checks] == ["logs", "exec", "service", "dns"]
    assert not any(check.ok for check in checks)


# --- what is put on hosts and into the cluster ---------------------------------------------------


def test_the_image_is_small_the_same_each_time_and_of_the_hosts_architecture():
    image = make_image("arm64")
    assert image == make_image("arm64") != make_image("amd64")
    assert len(image) < 32 * 1024
    with tarfile.open(fileobj=BytesIO(image)) as archive:
        index = json.load(archive.extractfile("index.json"))
    [manifest] = index["manifests"]
    assert manifest["annotations"]["io.containerd.image.name"] == "bootstrap.invalid/probe:1"
    assert manifest["platform"]["architecture"] == "arm64"


def test_all_objects_are_in_the_namespace_and_carry_the_label_by_which_leftovers_are_found():
    namespace, *others = json.loads(make_objects(NAMESPACE))["items"]
    assert namespace["metadata"]["name"] == NAMESPACE
    assert {thing["kind"] for thing in others} == {"Service", "DaemonSet"}
    assert all(thing["metadata"]["namespace"] == NAMESPACE for thing in others)
    labels = [thing["metadata"]["labels"] for thing in (namespace, *others)]
    assert all(each["app.kubernetes.io/managed-by"] == "bootstrap" for each in labels)


def test_the_pod_runs_on_every_node_pulls_nothing_and_is_harmless():
    *_, daemonset = json.loads(make_objects(NAMESPACE))["items"]
    spec = daemonset["spec"]["template"]["spec"]
    [container] = spec["containers"]
    assert container["imagePullPolicy"] == "Never"
    assert spec["tolerations"] == [{"operator": "Exists"}]
    assert spec["automountServiceAccountToken"] is False
    assert spec["securityContext"]["runAsNonRoot"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert all(mount["readOnly"] for mount in container["volumeMounts"])


@pytest.mark.parametrize(
    "script",
    [
        host_script("r1", TOOLS, [URL]),
        restore_script("r1", TOOLS),
        create_script("r1", TOOLS),
        look_script(TOOLS, NAMESPACE),
        ask_script(TOOLS, NAMESPACE, "probe-a", QUESTIONS),
    ],
)
def test_scripts_are_shell(script):
    done = subprocess.run(["sh", "-n"], input=script, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
