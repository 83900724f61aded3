using System.Globalization;
using System.IO.Hashing;
using System.Reflection;
using System.Runtime.InteropServices;
using Microsoft.ML.Sorsa.Adapters;
using Microsoft.ML.Sorsa.Data;
using Microsoft.ML.Sorsa.Tensors;
using Microsoft.ML.Sorsa.Training;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.FineTuning;

/// <summary>
/// Names a run by all that decides it beside its state. Where the model lies, how it generates and who is told of the progress decide
/// nothing.
/// </summary>
internal static class RunFingerprint
{
    /// <param name="settings">The options.</param>
    /// <param name="training">Those of the loop, with what the model and the data make of them.</param>
    /// <param name="totalSteps">The steps of the run.</param>
    /// <param name="train">The rows to train on.</param>
    /// <param name="validation">The others; empty: none.</param>
    /// <param name="baseFingerprint">Names the model's weights.</param>
    /// <param name="device">Where it computes.</param>
    /// <param name="chosen">What <see cref="WeightType.Auto"/> came to, on this machine.</param>
    public static RunIdentity Of(
        FineTuningSettings settings, TrainingSettings training, int totalSteps, IReadOnlyList<SupervisedExample> train,
        IReadOnlyList<SupervisedExample> validation, string baseFingerprint, Device device,
        ScalarType? chosen = null)
    {
        MethodSettings method = settings.MethodSettings;
        var identity = new SortedDictionary<string, string>(StringComparer.Ordinal)
        {
            ["Base"] = baseFingerprint,
            [nameof(settings.ComputeType)] = settings.ComputeType == WeightType.Auto ? Text(chosen!) : Text(settings.ComputeType),
            [nameof(settings.Method)] = settings.Method.Name,
            [nameof(settings.TrainedTokens)] = Text(settings.TrainedTokens),
            [nameof(settings.EndToken)] = Text(settings.EndToken),
            [nameof(settings.TargetModules)] = string.Join(", ", settings.TargetModules),
            ["TotalSteps"] = Text(totalSteps),
            ["Training rows"] = Name(train),
            ["Validation rows"] = Name(validation),
        };

        // What is left null is the default: written out, it is the same.
        Add(identity, method with
        {
            Rank = method.RankOrDefault,
            Alpha = method.Alpha ?? method.RankOrDefault,
            Gamma = method.Gamma ?? settings.Method.DefaultGamma,
            RankBudget = null,
        });
        Add(identity, method.RankBudget ?? new RankBudget(), $"{nameof(method.RankBudget)}.");
        // Of the methods that have them alone: checkpoints of earlier versions know nothing of these options.
        if (settings.Method.Has(nameof(method.GradientProjection)))
        {
            Add(identity, method.GradientProjectionOrDefault, $"{nameof(method.GradientProjection)}.");
        }

        if (settings.Method.Has(nameof(method.LayerSampling)))
        {
            Add(identity, method.LayerSamplingOrDefault, $"{nameof(method.LayerSampling)}.");
        }

        // Checkpointed gradients are the same to the bit: a run that ran out of memory goes on with them.
        Add(identity, training with { MaxSteps = null, GradientCheckpointing = false });
        return new RunIdentity(identity, new SortedDictionary<string, string>(StringComparer.Ordinal)
        {
            ["Device"] = device.type.ToString(),
            ["Library"] = Version.Split('+')[0],
            ["Ranks"] = Text(settings.Ranks?.Count ?? 1),
            ["Threads"] = Text(get_num_threads()),
        });
    }

    /// <summary>
    /// What processes that train together must have in common: all that decides a run, every option that the model goes on with, the
    /// files beside the weights, and the same build of what computes.
    /// </summary>
    /// <param name="run">Of this process.</param>
    /// <param name="settings">Its options.</param>
    /// <param name="start">Its model.</param>
    public static IReadOnlyDictionary<string, string> OfRank(RunIdentity run, FineTuningSettings settings, IPretrainedModel start)
    {
        var setup = new SortedDictionary<string, string>(run.Run.ToDictionary(), StringComparer.Ordinal)
        {
            ["Device"] = run.Machine["Device"],
            ["Library"] = Version,
            ["TorchSharp"] = Text(typeof(Tensor).Assembly.GetName().Version!),
            [RankSetups.Processor] = ProcessorName.Of(start.Device),
        };
        if (start.FilesFingerprint() is { } files)
        {
            setup["Model files"] = files;
        }

        foreach (TrainingOption option in settings.Options)
        {
            setup.TryAdd(option.Name, option.Value);
        }

        return setup;
    }

    /// <summary>With the commit behind a plus sign.</summary>
    private static string Version => typeof(RunFingerprint).Assembly
        .GetCustomAttribute<AssemblyInformationalVersionAttribute>()!.InformationalVersion;

    private static void Add(SortedDictionary<string, string> identity, object options, string owner = "")
    {
        foreach (PropertyInfo property in options.GetType().GetProperties().Where(property => property.GetMethod!.IsPublic))
        {
            if (property.GetValue(options) is ValueType value)
            {
                identity[owner + property.Name] = Text(value);
            }
        }
    }

    /// <summary>How many rows, and a hash of their tokens and where the responses begin.</summary>
    private static string Name(IReadOnlyList<SupervisedExample> rows)
    {
        var hash = new XxHash128();
        foreach (SupervisedExample row in rows)
        {
            hash.Append(MemoryMarshal.AsBytes<int>([row.Ids.Length, row.PromptLength]));
            hash.Append(MemoryMarshal.AsBytes<int>(row.Ids));
        }

        return string.Create(CultureInfo.InvariantCulture, $"{rows.Count}, {Convert.ToHexStringLower(hash.GetCurrentHash())}");
    }

    private static string Text(object value) => Convert.ToString(value, CultureInfo.InvariantCulture)!;
}
