using Microsoft.ML.Sorsa.Adapters.Quantization;
using Microsoft.ML.Sorsa.Tensors;
using TorchSharp.Modules;
using TorchSharp.Utils;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Adapters.AdaLora;

/// <summary>
/// AdaLoRA (Zhang et al., arXiv 2303.10512): an update in the form of an SVD, whose singular values are pruned where they matter least.
/// <code>y = x Wᵀ + c · ((x Qᵀ) Λ) Pᵀ + b</code>
/// P [out, r], Λ = diag(E) and Q [r, in] are PEFT's lora_B, lora_E and lora_A; c = α / (r + 1e-5), as there.
/// </summary>
internal sealed class AdaLoraLinear : LowRankAdapter
{
    private readonly (Parameter Value, Tensor Importance, Tensor Uncertainty)[] _watched;

    [ComponentName(Name = "kept")]
    private readonly Tensor _kept;

    /// <summary>Takes the tensors over.</summary>
    /// <param name="frozen">W [out, in].</param>
    /// <param name="a">Q [r, in].</param>
    /// <param name="e">The singular values [r, 1].</param>
    /// <param name="b">P [out, r].</param>
    /// <param name="bias">b [out], or null.</param>
    /// <param name="scale">c.</param>
    public AdaLoraLinear(FrozenWeight frozen, Tensor a, Tensor e, Tensor b, Parameter? bias, double scale)
        : base(nameof(AdaLoraLinear), frozen, bias)
    {
        RequireShapes(b, e.shape[0], a, "P and Q");
        A = new Parameter(a);
        E = new Parameter(e);
        B = new Parameter(b);
        Scale = scale;
        _watched = [.. new[] { A, E, B }.Select(value => (value, Zeros(value), Zeros(value)))];
        _kept = ones(E.shape, E.dtype, E.device).DetachFromDisposeScope();

        // Registered, so that they go when the adapter does; they are no part of what is saved.
        register_buffer("kept", _kept, persistent: false);
        RegisterComponents();
        for (int i = 0; i < _watched.Length; i++)
        {
            register_buffer($"importance_{i}", _watched[i].Importance, persistent: false);
            register_buffer($"uncertainty_{i}", _watched[i].Uncertainty, persistent: false);
        }

        static Tensor Zeros(Parameter value) => zeros(value.shape, value.dtype, value.device).DetachFromDisposeScope();
    }

    [field: ComponentName(Name = "lora_A")]
    public Parameter A { get; }

    [field: ComponentName(Name = "lora_E")]
    public Parameter E { get; }

    [field: ComponentName(Name = "lora_B")]
    public Parameter B { get; }

    public int Rank => (int)E.shape[0];

    public override double Scale { get; }

    public override IReadOnlyList<KeyValuePair<string, Parameter>> Trainable => [new("lora_A", A), new("lora_E", E), new("lora_B", B)];

    public override IReadOnlyList<OrthonormalFactor> OrthonormalFactors => [new(A, Rows: true), new(B, Rows: false)];

    public override IEnumerable<KeyValuePair<string, Tensor>> State =>
    [
        KeyValuePair.Create("kept", _kept),
        .. _watched.Select((watched, i) => KeyValuePair.Create($"importance_{i}", watched.Importance)),
        .. _watched.Select((watched, i) => KeyValuePair.Create($"uncertainty_{i}", watched.Uncertainty)),
    ];

    public override (Tensor B, Tensor A) Factors() => (Scaled(B), A * E);

    /// <summary>
    /// Brings the running importance |value · gradient| of every value, and how uncertain it is, up to date (Eq. 8 to 10). The gradients
    /// must be set.
    /// </summary>
    public void UpdateImportance(double beta1, double beta2)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        foreach ((Parameter value, Tensor importance, Tensor uncertainty) in _watched)
        {
            Tensor gradient = value.grad
                ?? throw new InvalidOperationException("A trained tensor has no gradient: call backward first.");
            Tensor now = (value * gradient).abs();
            importance.Scale(beta1).Accumulate(now.Times(1 - beta1));
            uncertainty.Scale(beta2).Accumulate((now - importance).abs().Scale(1 - beta2));
        }
    }

    /// <summary>How much each triplet matters, [r] in float64: that of its singular value, and the means over its vectors.</summary>
    public double[] Scores()
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        Tensor[] scores = [.. _watched.Select(watched => watched.Importance * watched.Uncertainty)];
        Tensor sum = scores[1].squeeze(1).Plus(scores[0].mean([1])).Plus(scores[2].mean([0]));
        return sum.to(ScalarType.Float64).cpu().data<double>().ToArray();
    }

    /// <summary>Chooses the triplets that stay, and prunes the others.</summary>
    public void Prune(bool[] kept)
    {
        using var scope = NewDisposeScope();
        _kept.copy_(tensor(kept, device: E.device).unsqueeze(1));
        Prune();
    }

    /// <summary>Sets the singular values of the triplets that were not chosen to stay to zero.</summary>
    public void Prune()
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        E.mul_(_kept);
    }
}
