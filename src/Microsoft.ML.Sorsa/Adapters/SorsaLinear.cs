using System.Globalization;
using Microsoft.ML.Sorsa.Tensors;
using TorchSharp;
using TorchSharp.Modules;
using TorchSharp.Utils;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Adapters;

/// <summary>
/// SORSA (arXiv 2409.00055): W [out, in] is split by its SVD into the top r singular triplets, which train, and the rest, which does not.
/// <code>
/// W_r = W − c · U_p diag(s_p) Vt_p                                  (5)–(7)
/// y   = x W_rᵀ + c · ((x Vt_pᵀ) ⊙ s_p) U_pᵀ + b                     (8)
/// </code>
/// U_p [out, r], s_p [r], Vt_p [r, in]; c = 1, or Alpha / r. At the start y is the projection's own output.
/// </summary>
internal sealed class SorsaLinear : Adapter
{
    [ComponentName(Name = "residual")]
    private readonly Parameter _residual;

    private readonly double _scale;
    private readonly double _dropout;
    private readonly Generator? _generator;

    /// <summary>Takes over the parts of a split weight; see <see cref="Split"/>.</summary>
    /// <param name="residual">W_r [out, in].</param>
    /// <param name="u">U_p [out, r].</param>
    /// <param name="s">s_p [r].</param>
    /// <param name="vt">Vt_p [r, in].</param>
    /// <param name="bias">b [out], or null.</param>
    /// <param name="scale">c.</param>
    /// <param name="dropout">The share of the adapter's input that is set to zero in training; the residual's is left alone.</param>
    /// <param name="generator">Where dropout draws from; needed only for dropout.</param>
    public SorsaLinear(Tensor residual, Tensor u, Tensor s, Tensor vt, Parameter? bias, double scale = 1, double dropout = 0, Generator? generator = null)
        : base(nameof(SorsaLinear))
    {
        // A wrong shape inside the custom backward would end the process.
        long rank = s.numel();
        if (!u.shape.SequenceEqual([residual.shape[0], rank]) || !vt.shape.SequenceEqual([rank, residual.shape[1]]))
        {
            throw new ArgumentException(string.Create(CultureInfo.InvariantCulture,
                $"U [{string.Join(", ", u.shape)}], s [{rank}] and Vt [{string.Join(", ", vt.shape)}] are no triplets of a residual [{string.Join(", ", residual.shape)}]."), nameof(u));
        }

        if (dropout > 0 && generator is null)
        {
            throw new ArgumentNullException(nameof(generator), "Dropout draws from a generator of its own: from the process-wide one no run could be repeated.");
        }

        _residual = new Parameter(residual, requires_grad: false);
        U = new Parameter(u);
        S = new Parameter(s);
        Vt = new Parameter(vt);
        Bias = bias;
        _scale = scale;
        _dropout = dropout;
        _generator = generator;
        RegisterComponents();
    }

    [field: ComponentName(Name = "U")]
    public Parameter U { get; }

    [field: ComponentName(Name = "s")]
    public Parameter S { get; }

    [field: ComponentName(Name = "Vt")]
    public Parameter Vt { get; }

    [field: ComponentName(Name = "bias")]
    public override Parameter? Bias { get; }

    public override IReadOnlyList<KeyValuePair<string, Parameter>> Trainable => [new("U", U), new("s", S), new("Vt", Vt)];

    public override IReadOnlyList<OrthonormalFactor> OrthonormalFactors => [new(U, Rows: false), new(Vt, Rows: true)];

    /// <summary>Splits W into W_r and its top <paramref name="rank"/> triplets. The decomposition runs in float32, or in float64 where W is.</summary>
    /// <param name="linear">The projection; its weight is left as it is, its bias goes over.</param>
    /// <param name="rank">r, from 1 to min(out, in).</param>
    /// <param name="scale">c.</param>
    /// <param name="dropout">See the constructor.</param>
    /// <param name="decomposition">Where the randomised decomposition draws from; on the CPU.</param>
    /// <param name="dropoutGenerator">Where dropout draws from, on the model's device; needed only for dropout.</param>
    public static SorsaLinear Split(Linear linear, int rank, double scale, double dropout, Generator decomposition, Generator? dropoutGenerator = null)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        Tensor weight = linear.weight.to(linear.weight.dtype == ScalarType.Float64 ? ScalarType.Float64 : ScalarType.Float32);
        (Tensor u, Tensor s, Tensor vt) = TruncatedSvd.Decompose(weight, rank, decomposition);
        Tensor residual = (weight - (u * s.Times(scale)).mm(vt)).to(linear.weight.dtype);
        return new SorsaLinear(
            residual.DetachFromDisposeScope(), u.DetachFromDisposeScope(), s.DetachFromDisposeScope(), vt.DetachFromDisposeScope(),
            linear.bias, scale, dropout, dropoutGenerator);
    }

    public override Tensor forward(Tensor input)
    {
        using var scope = NewDisposeScope();
        Tensor? mask = training && _dropout > 0
            ? rand(input.shape, ScalarType.Float32, input.device, generator: _generator).IsAtLeast(_dropout).to(input.dtype).Scale(1 / (1 - _dropout))
            : null;
        return scope.MoveToOuter(is_grad_enabled()
            ? SorsaFunction.Apply(input, _residual, Bias, U, S, Vt, _scale, mask)
            : SorsaFunction.Forward(input, _residual, Bias, U, S, Vt, _scale, mask).Output);
    }

    /// <summary>W = W_r + c · U_p diag(s_p) Vt_p.</summary>
    public override Tensor MergedWeight()
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        return scope.MoveToOuter((U * S.Times(_scale)).mm(Vt).Accumulate(_residual));
    }
}
