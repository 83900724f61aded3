using System.Globalization;
using Microsoft.ML.Sorsa.Files;
using Microsoft.ML.Sorsa.Models;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Adapters.Files;

/// <summary>A trained adapter apart from its base: what is written to files, and put onto the same base again.</summary>
/// <param name="Method">What made it.</param>
/// <param name="Scale">c.</param>
/// <param name="IsQuantized">The base was in NF4.</param>
/// <param name="BaseFingerprint">Of the checkpoint that it belongs to; null where that is not known.</param>
/// <param name="Tensors">By projection and by <see cref="AdapterTensor.Name"/>, in main memory; owned.</param>
internal sealed record AdapterWeights(
    MethodDescriptor Method, double Scale, bool IsQuantized, string? BaseFingerprint,
    SortedDictionary<string, IReadOnlyDictionary<string, Tensor>> Tensors) : IDisposable
{
    /// <summary>What PEFT's readers find the base by; null where it has no name.</summary>
    public string? BaseName { get; init; }

    /// <summary>r as its file states it, beside the tensors; null where there is no file.</summary>
    public int? StatedRank { get; init; }

    /// <summary>Whether its file says that it adapts a projection; null where it does not say.</summary>
    public Func<string, bool>? Targets { get; init; }

    /// <summary>It started from a randomised decomposition, which nobody else finds to the same digits.</summary>
    public bool StartIsRandomized { get; init; }

    /// <summary>The names that the projections end in, in ordinal order.</summary>
    public IReadOnlyList<string> TargetModules =>
    [
        .. Tensors.Keys.Select(path => path[(path.LastIndexOf('.') + 1)..]).Distinct(StringComparer.Ordinal).Order(StringComparer.Ordinal),
    ];

    /// <summary>r: the largest of the projections'.</summary>
    public int Rank => (int)Tensors.Values.Max(tensors => Method.SizeOf(Axis.Rank, tensors));

    /// <summary>Why the update is no LoRA over the untouched base, and what to choose instead; null where it is one.</summary>
    public string? WhyNoDifference => IsQuantized
        ? "The adapter was trained beside a quantised base; over the untouched one it is another model. "
            + "Choose AdapterFormat.Sorsa, or save the merged model with SaveHuggingFace or SaveGguf."
        : Method.NoLoraDifference;

    /// <summary>Copies what the adapters hold; null where there is nothing but trained weights.</summary>
    public static AdapterWeights? Of(AdapterSet adapters, string? baseFingerprint) =>
        Of(adapters, baseFingerprint, tensor => tensor.to(ScalarType.Float32, CPU, copy: true));

    /// <summary>What the adapters hold, where it is and without a copy: to be written, and disposed, before they change.</summary>
    public static AdapterWeights? ViewOf(AdapterSet adapters, string? baseFingerprint) =>
        Of(adapters, baseFingerprint, tensor => tensor);

    private static AdapterWeights? Of(AdapterSet adapters, string? baseFingerprint, Func<Tensor, Tensor> take)
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
            tensors[path] = lowRank.SavedTensors.ToDictionary(
                named => named.Key,
                named => take(named.Value.detach()).DetachFromDisposeScope(),
                StringComparer.Ordinal);
        }

        return first is null || adapters.Method is not { Restore: not null } method ? null : new AdapterWeights(
            method, first.Scale, first.IsQuantized, baseFingerprint, tensors)
        {
            StartIsRandomized = adapters.Adapters.Any(named => named.Value is LowRankAdapter { StartIsRandomized: true }),
        };
    }

    /// <summary>The adapter of a projection, as it was saved.</summary>
    /// <param name="path">The projection's name.</param>
    /// <param name="linear">The projection; it is not changed, and may be kept.</param>
    public LowRankAdapter Restore(string path, Linear linear)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        Func<SavedProjection, LowRankAdapter> restore = Method.Restore
            ?? throw new InvalidOperationException($"Nothing is saved of the method '{Method.Name}'.");
        return restore(new SavedProjection(linear, Scale, IsQuantized, Tensors[path]));
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

        if (BaseFingerprint is not null && !model.HasFingerprint(BaseFingerprint))
        {
            faults.Add($"another base: it was trained on {BaseFingerprint}, and this model is {model.Fingerprint} "
                + "(names of the weights' values, whatever type they are stored in)");
        }

        var shapes = model.Projections.ToDictionary(slot => slot.Path, slot => ((Linear)slot.Module).weight.shape, StringComparer.Ordinal);
        foreach ((string path, IReadOnlyDictionary<string, Tensor> tensors) in Tensors)
        {
            faults.AddRange(shapes.TryGetValue(path, out long[]? shape)
                ? Faults(path, tensors, shape)
                : [$"foreign target: {path} is no projection of this model, whose are called such as {shapes.Keys.First()}"]);
        }

        if (Targets is not null)
        {
            faults.AddRange(shapes.Keys.Where(path => Targets(path) && !Tensors.ContainsKey(path))
                .Select(path => $"missing: {path}, which target_modules names, has no tensor"));
            faults.AddRange(shapes.Keys.Where(path => !Targets(path) && Tensors.ContainsKey(path))
                .Select(path => $"unexpected: {path} has tensors, and target_modules does not name it"));
        }

        if (faults.Count > 0)
        {
            string line = $"{Environment.NewLine}  ";
            throw new InvalidDataException($"The adapter in '{source}' does not fit this model:{line}{NameList.Join(faults, line)}");
        }
    }

    /// <summary>
    /// The update as LoRA's factors over the untouched base, with every scale in B: [current, −start] and [current; start], of rank 2r,
    /// where the adapter started from a part of the base. They belong to the dispose scope that is open.
    /// </summary>
    public (Tensor B, Tensor A) Difference(string path)
    {
        using var noGrad = no_grad();
        long rows = Method.SizeOf(Axis.Out, Tensors[path]), columns = Method.SizeOf(Axis.In, Tensors[path]);
        using var linear = nn.Linear(new Parameter(zeros(rows, columns), requires_grad: false));
        using LowRankAdapter adapter = (this with { IsQuantized = false }).Restore(path, linear);
        using var scope = NewDisposeScope();
        (Tensor b, Tensor a) = adapter.Factors();
        return adapter.StartFactors() is var (startB, startA)
            ? scope.MoveToOuter(cat([b, startB.neg()], 1), cat([a, startA], 0))
            : scope.MoveToOuter(b.clone(), a.clone());
    }

    public void Dispose()
    {
        foreach (Tensor tensor in Tensors.Values.SelectMany(tensors => tensors.Values))
        {
            tensor.Dispose();
        }
    }

    /// <summary>What is missing, unexpected or misshapen beside a weight [out, in].</summary>
    private IEnumerable<string> Faults(string path, IReadOnlyDictionary<string, Tensor> tensors, long[] shape)
    {
        long rank = StatedRank ?? Method.SizeOf(Axis.Rank, tensors);
        string[] names = [.. Method.Tensors.Select(known => known.Name)];

        // PEFT's files have no fingerprint, and lack what PiSSA started from: it is recomputed.
        foreach (AdapterTensor known in Method.Tensors.Where(known => BaseFingerprint is not null || known.PeftName is not null))
        {
            if (!tensors.ContainsKey(known.Name))
            {
                yield return $"missing: {path}.{known.Name}";
            }
        }

        foreach (string name in tensors.Keys.Where(name => !names.Contains(name, StringComparer.Ordinal)))
        {
            yield return $"unexpected: {path}.{name}";
        }

        foreach (AdapterTensor known in Method.Tensors.OrderBy(known => known.Name, StringComparer.Ordinal))
        {
            long[] expected = known.Shape(shape[0], shape[1], rank);
            if (tensors.GetValueOrDefault(known.Name) is { } tensor
                && !(tensor.is_floating_point() && tensor.shape.SequenceEqual(expected)))
            {
                string asking = StatedRank is null ? "this base and method ask" : $"this base, method and a rank (r) of {rank} ask";
                yield return $"misshapen: {path}.{known.Name} is {tensor.dtype} {Text(tensor.shape)}, "
                    + $"and {asking} for floating-point numbers {Text(expected)}";
            }
        }

        static string Text(long[] sizes) => $"[{string.Join(", ", sizes.Select(size => size.ToString(CultureInfo.InvariantCulture)))}]";
    }
}
