namespace Microsoft.ML.Sorsa.Sweeps;

/// <summary>A look at the validation rows.</summary>
/// <param name="Step">Optimizer steps done, from 1.</param>
/// <param name="Loss">The mean cross-entropy of the validation rows, in nats per response token.</param>
/// <param name="Orthonormality">L_reg of Eq. (9) before this step; null where γ = 0 and for methods without it.</param>
public sealed record CurvePoint(int Step, double Loss, double? Orthonormality);
