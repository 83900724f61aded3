using Microsoft.ML.Sorsa.Adapters.Quantization;
using Microsoft.ML.Sorsa.Tensors;
using TorchSharp.Modules;
using TorchSharp.Utils;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Adapters.Sorsa;

/// <summary>
/// SORSA (arXiv 2409.00055): W [out, in] is split by its SVD into r singular triplets, which train, and the rest, which does not.
/// <code>
/// W_r = W − c · U_p diag(s_p) Vt_p                                  (5)–(7)
/// y   = x W_rᵀ + c · ((x Vt_pᵀ) ⊙ s_p) U_pᵀ + b                     (8)
/// </code>
/// U_p [out, r], s_p [r], Vt_p [r, in]; c = 1, or Alpha / r. At the start y is the projection's own output.
/// </summary>
internal sealed class SorsaLinear : LowRankAdapter
{
    [ComponentName(Name = StartB)]
    private readonly Parameter _startB;

    [ComponentName(Name = StartA)]
    private readonly Parameter _startA;

    /// <summary>Takes the tensors over.</summary>
    /// <param name="residual">W_r [out, in].</param>
    /// <param name="u">U_p [out, r].</param>
    /// <param name="s">s_p [r].</param>
    /// <param name="vt">Vt_p [r, in].</param>
    /// <param name="bias">b [out], or null.</param>
    /// <param name="scale">c.</param>
    /// <param name="start">The product that W_r lacks; null: that of these triplets.</param>
    public SorsaLinear(
        FrozenWeight residual, Tensor u, Tensor s, Tensor vt, Parameter? bias, double scale = 1, (Tensor B, Tensor A)? start = null)
        : base(nameof(SorsaLinear), residual, bias)
    {
        RequireShapes(u, s.numel(), vt, "U and Vt");
        U = new Parameter(u);
        S = new Parameter(s);
        Vt = new Parameter(vt);
        Scale = scale;
        using (NewDisposeScope())
        using (no_grad())
        {
            _startB = new Parameter(start?.B ?? (U * S.Times(scale)).DetachFromDisposeScope(), requires_grad: false);
            _startA = new Parameter(start?.A ?? Vt.detach().clone().DetachFromDisposeScope(), requires_grad: false);
        }

        RegisterComponents();
    }

    [field: ComponentName(Name = "U")]
    public Parameter U { get; }

    [field: ComponentName(Name = "s")]
    public Parameter S { get; }

    [field: ComponentName(Name = "Vt")]
    public Parameter Vt { get; }

    public override double Scale { get; }

    public override IReadOnlyList<KeyValuePair<string, Parameter>> Trainable => [new("U", U), new("s", S), new("Vt", Vt)];

    public override IReadOnlyList<OrthonormalFactor> OrthonormalFactors => [new(U, Rows: false), new(Vt, Rows: true)];

    public override (Tensor B, Tensor A) Factors() => (U * Scaled(S), Vt);

    public override (Tensor B, Tensor A)? StartFactors() => (_startB, _startA);

    /// <summary>
    /// Brings U and Vt back onto the Stiefel manifold: each becomes the Q of its QR decomposition with a positive diagonal of R, which is
    /// the matrix itself where it is orthonormal.
    /// </summary>
    public void Orthonormalize()
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        U.copy_(Orthonormal(U));
        Vt.copy_(Orthonormal(Vt.t()).t());

        static Tensor Orthonormal(Tensor matrix)
        {
            (Tensor q, Tensor r) = linalg.qr(matrix.to(WorkingPrecision.For(matrix)));
            return q * r.diagonal().sign();
        }
    }
}
