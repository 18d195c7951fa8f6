"""Law of studies: the quick setting runs, gives figures that can be opened, and its metrics."""

import json
from pathlib import Path

import numpy as np
import pytest

from mirrorneuron.studies import studies
from mirrorneuron.studies._contracts import Metric, Result
from mirrorneuron.studies.arm.arm_stabilisation import ArmStabilisation

NEEDED = {
    "grasshopper": (
        "gamma_brian2", "gamma_mirror", "gamma_poisson", "gamma_ln", "gamma_gradient_free",
    ),
    "cerebellum_cells": (
        "rate_golgi_plus", "rate_golgi_minus", "slope_granule", "olive_frequency_1.2",
        "olive_coherence_rise", "coupling_symmetry_0.02", "purkinje_pause_z_plus",
    ),
    "eglif_refit": (
        "rate_purkinje", "slope_purkinje_awake", "rate_olive_published", "rate_spread_purkinje",
        "kinds_met_refitted", "spikes_identical",
    ),
    "cerebellum_arm": (
        "rms_late_no_plasticity", "ratio_plasticity", "ratio_worst_plasticity", "ratio_output_cut",
        "trials_to_half", "aftereffect_plasticity", "olive",
    ),
    "cerebellum": (
        "rate_golgi_plus", "count_granule", "basal_awake_purkinje", "order_in_vitro",
        "pause_1_spike_+_1_nA", "kernel_error_pf_pc_sinexp", "neutral_pf_mli",
    ),
    "eyeblink": (
        "cr_first_10", "cr_trained", "cr_unpaired", "cr_fixed", "cr_extinguished", "peak",
        "peak_longer", "purkinje_dip",
    ),
    "consolidation": (
        "slope_chain", "slope_cascade", "lifetime_growth_chain", "metaplastic_missed",
        "accuracy_synaptic_intelligence", "gain_metaplastic",
    ),
    "finger_velocity": (
        "footprint_tiny_96", "footprint_tiny_192", "r2_tiny", "lost_pruned_fp16",
        "spikes_identical",
    ),
    "braille": (
        "events_1", "events_2", "events_5", "events_10", "accuracy_feed_forward",
        "accuracy_recurrent", "accuracy_improved", "accuracy_LSTM", "spikes_identical",
    ),
    "fluctuation_init": (
        "kernel_mean_20_10_1_ms", "sigma_w_ih", "dale_balance_missed", "sigma_u_free_membrane",
        "test_accuracy", "plateau", "collapse", "initial_rate_missed", "spikes_identical",
    ),
    "surrogate_theory": (
        "mirror_sigmoid_missed", "monte_carlo_exponential_missed", "stochad_identity_missed",
        "loop_1", "loop_5", "loop_gradient", "minimum", "rest_surrogate_30", "stochad_bias",
        "distance_ratio_deterministic", "distance_ratio_stochastic",
    ),
    "arm_stabilisation": (
        "rms_untrained", "rms_bptt", "rms_fptt_100_ms", "rms_best_pd", "rms_lqr",
        "memory_slope_bptt", "spikes_identical", "angle_deviation",
    ),
    "arm_posture": (
        "rms_hand_untrained", "rms_hand_bptt", "rms_hand_worst_bptt", "rms_hand_fptt_100_ms",
        "rms_hand_best_constant", "rms_hand_best_pd", "rms_hand_lqr", "spikes_identical",
        "hand_deviation",
    ),
    "arm_online": ("rms_traces", "rms_FPTT", "ratio_traces", "spikes_identical"),
    "disinhibition": (
        "sign_exact_4", "sign_linear_3", "bcm_threshold", "isolated_0.75", "student_exact_2",
        "student_linear_2", "gap_exact", "gap_linear", "steady_state_deviation", "spiking_sign_4",
    ),
    "isoloss": (
        "deviation_direct", "deviation_iso", "eigenvalue_no_predictor",
        "eigenvalue_no_stop_gradient", "probe_iso", "probe_ahead", "participation_iso",
    ),
    "equilibrium": (
        "law_1", "law_6", "error_6_0.5", "cosine_0", "cosine_90", "accuracy_symmetric",
        "accuracy_homeostasis", "loss_regained", "fixed_point_deviation",
    ),
    "learning_rules": ("cosine_traces", "loss_BPTT", "time_FPTT", "spikes_identical"),
    "huh_sejnowski": (
        "gradient_error_coding", "gradient_error_xor", "coding_error", "coding_rate",
        "coding_correlation", "coding_slope", "coding_balance", "xor_accuracy",
        "xor_accuracy_one_pulse", "spikes_identical",
    ),
    "online_rules": (
        "identity_hand_LIF", "identity_autograd_ALIF", "cosine_0", "error_eprop_symmetric",
        "spikes_identical",
    ),
}  # fmt: skip
LEARNT = {"arm_stabilisation": ("rms_untrained", "rms_bptt", "rms_fptt_100_ms")}


@pytest.mark.slow
@pytest.mark.timeout(1500)  # some compile several networks, beside another test
@pytest.mark.parametrize("name", studies)
def test_a_study_runs_in_its_quick_setting(name: str, tmp_path: Path) -> None:
    result = studies[name]().quick().run(tmp_path, progress=False)
    metrics = json.loads(result.write(tmp_path).read_text())
    for key in NEEDED.get(name, ()):
        assert set(metrics[key]) == {"value", "unit", "target", "ok"}
    assert metrics.get("spikes_identical", {"ok": True})["ok"]
    values = [metrics[key]["value"] for key in LEARNT.get(name, ())]
    assert all(after < values[0] / 2 for after in values[1:])
    assert len(result.figures) >= 3
    for path in result.figures:
        assert path.read_bytes().startswith((b"\x89PNG", b"GIF89a"))
    assert result.report is not None
    assert "<script" not in result.report.read_text()


@pytest.mark.parametrize("name", studies)
def test_a_study_has_a_title_and_says_where_it_comes_from(name: str) -> None:
    module = __import__(studies[name].__module__, fromlist=["_"])
    assert studies[name]().title
    assert "doi:10." in str(module.__doc__)


def test_training_pushes_each_arm_with_a_torque_of_its_own() -> None:
    study = ArmStabilisation(push=0.3).quick()
    trial = study.task(study.model(0), 0).trial
    early, late = (trial(7).inputs["joints.load"](*part) for part in ((0, 4), (4, 6)))
    assert early.shape == (4, study.batch, 1)
    assert (early == early[0]).all()
    assert (late == early[0]).all()
    assert 0.1 < np.abs(early).max() <= 0.3
    assert len(np.unique(early)) == study.batch
    assert not np.isin(trial(8).inputs["joints.load"](0, 4), early).any()


def test_cocontraction_is_what_the_other_muscle_answers() -> None:
    alone, both = np.array([[[0.2, 0.0]]]), np.array([[[0.2, 0.2]]])
    together = ArmStabilisation().cocontraction
    assert together(alone) == 0
    assert together(both) == 1
    assert together(np.array([[[0.3, 0.1]]])) == pytest.approx(0.5)
    assert together(np.concatenate([alone, both])) == pytest.approx(2 / 3)


def test_a_result_says_hit_or_missed_only_where_that_was_judged() -> None:
    metrics = {
        "hit": Metric(1.0, "Hz", 1.0, True), "missed": Metric(2.0, "Hz", 1.0, False),
        "beside": Metric(2.0, "Hz", 1.0), "alone": Metric(2.0, "Hz"),
    }  # fmt: skip
    ends = [line.partition("Hz")[2].strip() for line in str(Result(metrics)).splitlines()]
    assert ends == ["target 1: hit", "target 1: MISSED", "target 1", ""]
    assert not Result(metrics).ok
