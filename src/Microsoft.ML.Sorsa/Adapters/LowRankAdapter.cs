using System.Globalization;
using Microsoft.ML.Sorsa.Tensors;
using TorchSharp;
using TorchSharp.Modules;
using TorchSharp.Utils;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Adapters;

/// <summary>
/// A frozen weight and a trained product of rank r: y = x Wᵀ + b + (x' Aᵀ) Bᵀ with B [out, r] and A [r, in], x' being x after dropout. Methods
/// say what B and A are made of.
/// </summary>
internal abstract class LowRankAdapter : Adapter
{
    /// <summary>B of the product that <see cref="Factors"/> was at the start, where W lost it.</summary>
    public const string StartB = "start_B";

    /// <summary>A of it.</summary>
    public const string StartA = "start_A";

    [ComponentName(Name = "frozen")]
    private readonly FrozenWeight _frozen;

    private readonly double _dropout;
    private readonly Generator? _generator;

    /// <param name="name">The type's name.</param>
    /// <param name="frozen">W.</param>
    /// <param name="bias">b [out], or null.</param>
    /// <param name="method">Says how much is dropped, and where to draw it from.</param>
    protected LowRankAdapter(string name, FrozenWeight frozen, Parameter? bias, AdapterMethod? method)
        : base(name)
    {
        _frozen = frozen;
        Bias = bias;
        _dropout = method?.Dropout ?? 0;
        _generator = method?.DropoutGenerator;
        if (_dropout > 0 && _generator is null)
        {
            throw new ArgumentNullException(nameof(method), "Dropout draws from a generator of its own: from the process-wide one no run could be repeated.");
        }
    }

    [field: ComponentName(Name = "bias")]
    public override Parameter? Bias { get; }

    /// <summary>What files call the method.</summary>
    public abstract string Method { get; }

    /// <summary>c.</summary>
    public abstract double Scale { get; }

    /// <summary>W is kept in NF4.</summary>
    public bool IsQuantized => _frozen is Nf4Weight;

    /// <summary>What files keep: everything that trained, and the product that it started from where W lost that.</summary>
    public IReadOnlyList<KeyValuePair<string, Tensor>> Stored =>
        [.. Trainable.Select(named => KeyValuePair.Create(named.Key, (Tensor)named.Value)),
         .. StartFactors() is var (b, a) ? [KeyValuePair.Create(StartB, b), KeyValuePair.Create(StartA, a)] : Array.Empty<KeyValuePair<string, Tensor>>()];

    /// <summary>W.</summary>
    protected FrozenWeight Frozen => _frozen;

    /// <summary>The product that <see cref="Factors"/> was at the start, in new tensors; null where it was zero.</summary>
    public abstract (Tensor B, Tensor A)? StartFactors();

    /// <summary>B [out, r], with every scale in it, and A [r, in]; a function of what trains. They belong to the dispose scope that is open.</summary>
    public abstract (Tensor B, Tensor A) Factors();

    public override Tensor forward(Tensor input)
    {
        using var scope = NewDisposeScope();
        return scope.MoveToOuter(Project(input, Bias));
    }

    /// <summary>W + B A.</summary>
    public override Tensor Weight()
    {
        using var scope = NewDisposeScope();
        (Tensor b, Tensor a) = Factors();
        Tensor frozen = _frozen.Dense(b.dtype);
        return scope.MoveToOuter(is_grad_enabled() ? b.mm(a).Plus(frozen) : WorkingPrecision.Product(b, a).Accumulate(frozen).to(b.dtype));
    }

    public override Tensor InitialWeight()
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        ScalarType type = Trainable[0].Value.dtype;
        return scope.MoveToOuter(StartFactors() is var (b, a) ? WorkingPrecision.Product(b, a).Accumulate(_frozen.Dense(type)).to(type) : _frozen.Dense(type).clone());
    }

    /// <summary>x Wᵀ + b + (x' Aᵀ) Bᵀ; belongs to the dispose scope that is open.</summary>
    protected Tensor Project(Tensor input, Tensor? bias)
    {
        (Tensor b, Tensor a) = Factors();
        Tensor? mask = training && _dropout > 0
            ? rand(input.shape, ScalarType.Float32, input.device, generator: _generator).IsAtLeast(_dropout).to(input.dtype).Scale(1 / (1 - _dropout))
            : null;
        return is_grad_enabled()
            ? LowRankFunction.Apply(input, _frozen, bias, b, a, mask)
            : LowRankFunction.Forward(input, _frozen, bias, b, a, mask).Output;
    }

    /// <summary>A wrong shape inside the custom backward would end the process.</summary>
    protected void RequireShapes(Tensor b, long rank, Tensor a, string names)
    {
        if (!b.shape.SequenceEqual([_frozen.Shape[0], rank]) || !a.shape.SequenceEqual([rank, _frozen.Shape[1]]))
        {
            throw new ArgumentException(string.Create(CultureInfo.InvariantCulture,
                $"{names} of the shapes [{string.Join(", ", b.shape)}] and [{string.Join(", ", a.shape)}] are no factors of rank {rank} of a weight [{string.Join(", ", _frozen.Shape)}]."), nameof(b));
        }
    }
}
