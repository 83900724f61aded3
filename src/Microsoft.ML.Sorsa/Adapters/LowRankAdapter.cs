using System.Globalization;
using Microsoft.ML.Sorsa.Adapters.Quantization;
using Microsoft.ML.Sorsa.Models;
using Microsoft.ML.Sorsa.Tensors;
using TorchSharp;
using TorchSharp.Modules;
using TorchSharp.Utils;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Adapters;

/// <summary>
/// A frozen weight and a trained product of rank r beside it: W + B A with B [out, r] and A [r, in]. A method's forward says what B and A
/// are made of, and <see cref="LowRankFunction"/> computes it without forming the product.
/// </summary>
internal abstract class LowRankAdapter : Adapter, IUnreadProjection
{
    /// <summary>B of the product that <see cref="Factors"/> was at the start, where W lost it.</summary>
    public const string StartB = "start_B";

    /// <summary>A of it.</summary>
    public const string StartA = "start_A";

    [ComponentName(Name = "frozen")]
    private readonly FrozenWeight _frozen;

    /// <summary>By which its masks differ from those of other adapters.</summary>
    private readonly int _number;

    /// <param name="name">The type's name.</param>
    /// <param name="frozen">W.</param>
    /// <param name="bias">b [out], or null.</param>
    protected LowRankAdapter(string name, FrozenWeight frozen, Parameter? bias)
        : base(name)
    {
        _frozen = frozen;
        Bias = bias;
    }

    [field: ComponentName(Name = "bias")]
    public override Parameter? Bias { get; }

    /// <summary>What is dropped of the trained side's input; null: nothing.</summary>
    public InputDropout? Dropout
    {
        get;
        init
        {
            field = value;
            _number = value?.Join() ?? 0;
        }
    }

    /// <summary>c.</summary>
    public abstract double Scale { get; }

    /// <summary>W is kept in NF4.</summary>
    public bool IsQuantized => _frozen is Nf4Weight;

    /// <summary>What it started from was found by a randomised decomposition.</summary>
    public bool StartIsRandomized { get; init; }

    /// <summary>What files keep, by the names of <see cref="MethodDescriptor.Tensors"/>.</summary>
    public virtual IReadOnlyList<KeyValuePair<string, Tensor>> SavedTensors =>
    [
        .. Trainable.Select(named => KeyValuePair.Create(named.Key, (Tensor)named.Value)),
        .. StartFactors() is var (b, a)
            ? [KeyValuePair.Create(StartB, b), KeyValuePair.Create(StartA, a)]
            : Array.Empty<KeyValuePair<string, Tensor>>(),
    ];

    /// <summary>W.</summary>
    protected FrozenWeight Frozen => _frozen;

    /// <summary>The product that <see cref="Factors"/> was at the start, of the adapter's own tensors; null where it was zero.</summary>
    public virtual (Tensor B, Tensor A)? StartFactors() => null;

    /// <summary>
    /// B [out, r], with every scale in it, and A [r, in]; a function of what trains. They belong to the dispose scope that is open.
    /// </summary>
    public abstract (Tensor B, Tensor A) Factors();

    /// <summary>y = x Wᵀ + b + (x Aᵀ) Bᵀ.</summary>
    public override Tensor forward(Tensor x) => Project(x, Bias, isRead: true);

    public virtual Tensor Unread(Tensor x) => Project(x, Bias, isRead: false);

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
        return scope.MoveToOuter(StartFactors() is var (b, a)
            ? WorkingPrecision.Product(b, a).Accumulate(_frozen.Dense(type)).to(type)
            : _frozen.Dense(type).clone());
    }

    /// <summary>c · factor; itself where c is 1, which changes no bit.</summary>
    protected Tensor Scaled(Tensor factor) => Scale == 1 ? factor : factor.Times(Scale);

    /// <summary>x Wᵀ + b + (x' Aᵀ) Bᵀ, with what dropout leaves of x in x' while training.</summary>
    protected Tensor Project(Tensor x, Tensor? bias, bool isRead)
    {
        using var scope = NewDisposeScope();
        (Tensor b, Tensor a) = Factors();
        return scope.MoveToOuter(LowRankFunction.Apply(x, _frozen, bias, b, a, training ? Dropout?.Mask(x, _number) : null, isRead));
    }

    /// <summary>A wrong shape inside the custom backward would end the process.</summary>
    protected void RequireShapes(Tensor b, long rank, Tensor a, string names)
    {
        if (!b.shape.SequenceEqual([_frozen.Shape[0], rank]) || !a.shape.SequenceEqual([rank, _frozen.Shape[1]]))
        {
            string shapes = $"[{string.Join(", ", b.shape)}] and [{string.Join(", ", a.shape)}]";
            throw new ArgumentException(string.Create(CultureInfo.InvariantCulture,
                $"{names} of the shapes {shapes} are no factors of rank {rank} of a weight [{string.Join(", ", _frozen.Shape)}]."),
                nameof(b));
        }
    }
}
