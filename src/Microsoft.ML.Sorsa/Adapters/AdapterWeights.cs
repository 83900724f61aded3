using System.Globalization;
using Microsoft.ML.Sorsa.Models;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Adapters;

/// <summary>A trained adapter apart from its base: what is written to files, and put onto the same base again.</summary>
/// <param name="Method">See <see cref="AdapterParts"/>.</param>
/// <param name="Scale">c.</param>
/// <param name="IsQuantized">The base was in NF4.</param>
/// <param name="BaseFingerprint">Of the checkpoint that it belongs to; null where that is not known.</param>
/// <param name="Tensors">By projection and by part, in main memory; owned.</param>
internal sealed record AdapterWeights(
    string Method, double Scale, bool IsQuantized, string? BaseFingerprint, SortedDictionary<string, IReadOnlyDictionary<string, Tensor>> Tensors) : IDisposable
{
    /// <summary>The names that the projections end in, in ordinal order.</summary>
    public IReadOnlyList<string> TargetModules =>
        [.. Tensors.Keys.Select(path => path[(path.LastIndexOf('.') + 1)..]).Distinct(StringComparer.Ordinal).Order(StringComparer.Ordinal)];

    /// <summary>r: the largest of the projections'.</summary>
    public int Rank => Tensors.Values.Max(RankOf);

    /// <summary>Copies what the adapters hold; null where there is nothing but trained weights.</summary>
    public static AdapterWeights? Of(AdapterSet adapters, string? baseFingerprint)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        var tensors = new SortedDictionary<string, IReadOnlyDictionary<string, Tensor>>(StringComparer.Ordinal);
        LowRankAdapter? first = null;
        foreach ((string path, Adapter adapter) in adapters.Adapters)
        {
            if (adapter is not LowRankAdapter lowRank)
            {
                return null;
            }

            first ??= lowRank;
            tensors[path] = lowRank.Stored.ToDictionary(
                named => named.Key, named => named.Value.detach().to(ScalarType.Float32, CPU, copy: true).DetachFromDisposeScope(), StringComparer.Ordinal);
        }

        return first is null ? null : new AdapterWeights(first.Method, first.Scale, first.IsQuantized, baseFingerprint, tensors);
    }

    /// <summary>Compares everything with the base that it is to be put onto.</summary>
    /// <exception cref="InvalidDataException">It belongs to another base; all that differs is listed.</exception>
    public void Verify(CausalLM model, string source)
    {
        var faults = new List<string>();
        if (Tensors.Count == 0)
        {
            faults.Add("it holds no tensor");
        }

        if (BaseFingerprint is not null && BaseFingerprint != model.Fingerprint)
        {
            faults.Add($"another base: it was trained on {BaseFingerprint}, and this model is {model.Fingerprint}");
        }

        var shapes = model.Projections.ToDictionary(slot => slot.Path, slot => ((Linear)slot.Module).weight.shape, StringComparer.Ordinal);
        foreach ((string path, IReadOnlyDictionary<string, Tensor> parts) in Tensors)
        {
            if (!shapes.TryGetValue(path, out long[]? shape))
            {
                faults.Add($"foreign target: {path} is no projection of this model");
                continue;
            }

            // PEFT's files lack what PiSSA started from: it is recomputed.
            IEnumerable<string> needed = AdapterParts.Names(Method).Where(name => BaseFingerprint is not null || !name.StartsWith("start_", StringComparison.Ordinal));
            faults.AddRange(needed.Where(name => !parts.ContainsKey(name)).Select(name => $"missing: {path}.{name}"));
            faults.AddRange(parts.Keys.Where(name => !AdapterParts.Names(Method).Contains(name)).Select(name => $"unexpected: {path}.{name}"));
            foreach ((string name, Tensor tensor) in parts.Where(part => AdapterParts.Names(Method).Contains(part.Key)).OrderBy(part => part.Key, StringComparer.Ordinal))
            {
                long[] wanted = AdapterParts.Shape(name, shape[0], shape[1], RankOf(parts));
                if (!tensor.shape.SequenceEqual(wanted) || !tensor.is_floating_point())
                {
                    faults.Add($"misshapen: {path}.{name} is {tensor.dtype} {Text(tensor.shape)}, and this base and method ask for floating-point numbers {Text(wanted)}");
                }
            }
        }

        if (faults.Count > 0)
        {
            throw new InvalidDataException($"The adapter in '{source}' does not fit this model:{Environment.NewLine}  {string.Join(Environment.NewLine + "  ", faults)}");
        }
    }

    /// <summary>
    /// The update as LoRA's factors over the untouched base, with every scale in B: [current, −start] and [current; start], of rank 2r, where the adapter
    /// started from a part of the base. They belong to the dispose scope that is open.
    /// </summary>
    public (Tensor B, Tensor A) Difference(string path)
    {
        using var noGrad = no_grad();
        using var linear = nn.Linear(new Parameter(zeros(AdapterShape(path)), requires_grad: false));
        using LowRankAdapter adapter = AdapterParts.Restore(linear, this with { IsQuantized = false }, path);
        using var scope = NewDisposeScope();
        (Tensor b, Tensor a) = adapter.Factors();
        return adapter.StartFactors() is var (startB, startA)
            ? scope.MoveToOuter(cat([b, startB.neg()], 1), cat([a, startA], 0))
            : scope.MoveToOuter(b.clone(), a.clone());
    }

    public void Dispose()
    {
        foreach (Tensor tensor in Tensors.Values.SelectMany(parts => parts.Values))
        {
            tensor.Dispose();
        }
    }

    /// <summary>r of one projection, from its right factor; 0 where that is missing.</summary>
    private static int RankOf(IReadOnlyDictionary<string, Tensor> parts) =>
        (parts.GetValueOrDefault("Vt") ?? parts.GetValueOrDefault("lora_A")) is { } right && right.dim() == 2 ? (int)right.shape[0] : 0;

    private static string Text(long[] shape) => $"[{string.Join(", ", shape.Select(size => size.ToString(CultureInfo.InvariantCulture)))}]";

    private long[] AdapterShape(string path)
    {
        IReadOnlyDictionary<string, Tensor> parts = Tensors[path];
        Tensor left = parts.GetValueOrDefault("U") ?? parts["lora_B"], right = parts.GetValueOrDefault("Vt") ?? parts["lora_A"];
        return [left.shape[0], right.shape[1]];
    }
}
