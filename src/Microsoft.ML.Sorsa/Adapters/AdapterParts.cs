using Microsoft.ML.Sorsa.Tensors;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Adapters;

/// <summary>What files know of a method: its name, its tensors, and how an adapter is made from them. The only place that does.</summary>
internal static class AdapterParts
{
    public const string Sorsa = "sorsa";
    public const string Lora = "lora";
    public const string RsLora = "rslora";
    public const string Pissa = "pissa";
    public const string Dora = "dora";
    public const string AdaLora = "adalora";

    private const string A = "lora_A";
    private const string B = "lora_B";
    private const string E = "lora_E";
    private const string M = "lora_magnitude_vector";

    private static readonly SortedDictionary<string, (string[] Names, Func<Stored, LowRankAdapter> Restore)> s_methods = new(StringComparer.Ordinal)
    {
        [Sorsa] = (["U", "s", "Vt", LowRankAdapter.StartB, LowRankAdapter.StartA], stored => new SorsaLinear(
            stored.Residual(), stored.Own("U"), stored.Own("s"), stored.Own("Vt"), stored.Linear.bias, stored.Scale, start: stored.Start())),
        [Lora] = ([A, B], stored => new LoraLinear(stored.Base(), stored.Own(A), stored.Own(B), stored.Linear.bias, stored.Scale)),
        [RsLora] = ([A, B], stored => new LoraLinear(stored.Base(), stored.Own(A), stored.Own(B), stored.Linear.bias, stored.Scale, RsLora)),
        [Pissa] = ([A, B, LowRankAdapter.StartB, LowRankAdapter.StartA], stored => new LoraLinear(
            stored.Residual(), stored.Own(A), stored.Own(B), stored.Linear.bias, stored.Scale, Pissa, start: stored.Start())),
        [Dora] = ([A, B, M], stored => new DoraLinear(stored.Base(), stored.Own(A), stored.Own(B), stored.Own(M), stored.Linear.bias, stored.Scale)),
        [AdaLora] = ([A, E, B], stored => new AdaLoraLinear(stored.Base(), stored.Own(A), stored.Own(E), stored.Own(B), stored.Linear.bias, stored.Scale)),
    };

    /// <summary>The methods that files may name.</summary>
    public static IReadOnlyCollection<string> Methods => s_methods.Keys;

    /// <summary>The names of a method's tensors.</summary>
    public static IReadOnlyList<string> Names(string method) => s_methods[method].Names;

    /// <summary>The shape of a tensor of an adapter of rank r over a weight [out, in].</summary>
    public static long[] Shape(string part, long rows, long columns, long rank) => part switch
    {
        "U" or B or LowRankAdapter.StartB => [rows, rank],
        "Vt" or A or LowRankAdapter.StartA => [rank, columns],
        "s" => [rank],
        E => [rank, 1],
        _ => [rows],
    };

    /// <summary>An adapter as it was stored, over its projection.</summary>
    /// <param name="linear">The projection; it is not changed, and may be kept.</param>
    /// <param name="weights">What was stored.</param>
    /// <param name="path">The projection's name there.</param>
    public static LowRankAdapter Restore(Linear linear, AdapterWeights weights, string path)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        return s_methods[weights.Method].Restore(new Stored(linear, weights, weights.Tensors[path]));
    }

    /// <summary>One projection's tensors, and the projection.</summary>
    private sealed record Stored(Linear Linear, AdapterWeights Weights, IReadOnlyDictionary<string, Tensor> Tensors)
    {
        private (Tensor B, Tensor A)? _start;

        public double Scale => Weights.Scale;

        /// <summary>A tensor of the adapter's own, on the projection's device.</summary>
        public Tensor Own(string name) => Tensors[name].to(AdapterStart.TypeFor(Linear.weight), Linear.weight.device, copy: true).DetachFromDisposeScope();

        public FrozenWeight Base() => Weights.IsQuantized ? new Nf4Weight(Linear.weight) : new PlainWeight(Linear.weight);

        public FrozenWeight Residual() => PrincipalSplit.Residual(Linear, Start().B, Start().A, Weights.IsQuantized);

        /// <summary>The product that training started from; PEFT does not store PiSSA's, it is the leading part of W.</summary>
        public (Tensor B, Tensor A) Start() => _start ??= Tensors.ContainsKey(LowRankAdapter.StartB)
            ? (Own(LowRankAdapter.StartB), Own(LowRankAdapter.StartA))
            : LeadingPart();

        private (Tensor B, Tensor A) LeadingPart()
        {
            (Tensor u, Tensor s, Tensor vt) = TruncatedSvd.Exact(Linear.weight.to(AdapterStart.TypeFor(Linear.weight)), (int)Tensors[A].shape[0]);
            (Tensor b, Tensor a) = PissaMethod.Factors(u, s, vt, Scale);
            return (b.Times(Scale).DetachFromDisposeScope(), a.DetachFromDisposeScope());
        }
    }
}
