using Microsoft.ML.Sorsa.Adapters;
using Microsoft.ML.Sorsa.Models;
using Microsoft.ML.Sorsa.Sweeps;

namespace Microsoft.ML.Sorsa;

/// <summary>A search space against the trainer's options and the model: every value at an end, every choice, with every method that it can come together with.</summary>
internal static class SweptOptions
{
    private const double WithinARange = 0.381966;

    /// <summary>What other options depend on, in the order in which they do.</summary>
    private static readonly string[] s_deciding =
    [
        nameof(SorsaFineTuningTrainer.Options.Method), nameof(SorsaFineTuningTrainer.Options.Triplets), nameof(SorsaFineTuningTrainer.Options.HardOrthonormality),
        nameof(SorsaFineTuningTrainer.Options.Quantization),
    ];

    /// <exception cref="ArgumentException">An option is not the trainer's; a value is outside its range, or does not fit the method or the model.</exception>
    public static void Verify(SorsaFineTuningTrainer.Options template, SorsaSearchSpace space, DecoderConfig config)
    {
        foreach ((string name, _) in space)
        {
            if (!SorsaFineTuningTrainer.Options.Sweepable.Contains(name, StringComparer.Ordinal))
            {
                throw new ArgumentException($"The search space has '{name}', which is no option of the trainer that a sweep can vary. Use one of {string.Join(", ", SorsaFineTuningTrainer.Options.Sweepable)}.", name);
            }
        }

        IReadOnlyList<IReadOnlyDictionary<string, object?>> cases = Cases(space);
        foreach ((string name, ISearchOption option) in space)
        {
            bool isUsed = false;
            foreach (IReadOnlyDictionary<string, object?> others in cases)
            {
                // A value within the range, too: where whole numbers are asked for, the ends alone may be some.
                foreach (object? value in option.Ends.Append(option.At(WithinARange)))
                {
                    IReadOnlyDictionary<string, object?> parameters = Reduce(template, space.Parameters((other, _) => other == name ? value : others[other]));
                    isUsed |= parameters.ContainsKey(name);
                    SorsaFineTuningTrainer.Options options = Apply(template, parameters);
                    options.Validate();
                    AdapterSet.Verify(config, options.TargetModules, options.VerifiedRank);
                }
            }

            if (!isUsed)
            {
                throw new ArgumentException($"The search space has '{name}', which no combination of the others has a use for: it does not belong to Method {template.Method}, or to what else is set. Leave it out, or choose a method that has it.", name);
            }
        }
    }

    /// <summary>A trial's parameters without those that its method, or another of its choices, has no use for.</summary>
    public static IReadOnlyDictionary<string, object?> Reduce(SorsaFineTuningTrainer.Options template, IReadOnlyDictionary<string, object?> parameters)
    {
        SorsaFineTuningTrainer.Options options = template.Clone();
        foreach (string name in s_deciding.Where(name => parameters.ContainsKey(name) && options.HasOption(name)))
        {
            options.Set(name, ParameterText.Of(parameters[name]));
        }

        return new OrderedDictionary<string, object?>(parameters.Where(parameter => options.HasOption(parameter.Key) && options.HasUseFor(parameter.Key)), StringComparer.Ordinal);
    }

    /// <summary>The template with a trial's values.</summary>
    public static SorsaFineTuningTrainer.Options Apply(SorsaFineTuningTrainer.Options template, IReadOnlyDictionary<string, object?> parameters)
    {
        SorsaFineTuningTrainer.Options options = template.Clone();
        foreach ((string name, object? value) in parameters)
        {
            options.Set(name, ParameterText.Of(value));
        }

        return options;
    }

    /// <summary>The largest rank that a trial can ask for.</summary>
    public static int LargestRank(SorsaFineTuningTrainer.Options template, SorsaSearchSpace space) =>
        space.Where(option => option.Key == nameof(template.Rank)).SelectMany(option => option.Value.Ends)
            .Select(rank => Apply(template, new Dictionary<string, object?> { [nameof(template.Rank)] = rank }).RankOrDefault)
            .DefaultIfEmpty(template.RankOrDefault).Max();

    /// <summary>Every combination of the options that decide about others, each beside the last end of all the rest: the largest rank with the largest start.</summary>
    private static IReadOnlyList<IReadOnlyDictionary<string, object?>> Cases(SorsaSearchSpace space)
    {
        IEnumerable<OrderedDictionary<string, object?>> cases = [space.Parameters((_, option) => option.Ends[^1])];
        foreach ((string name, ISearchOption option) in space.Where(option => s_deciding.Contains(option.Key, StringComparer.Ordinal)))
        {
            cases = cases.SelectMany(others => option.Ends.Select(value => space.Parameters((other, _) => other == name ? value : others[other])));
        }

        return [.. cases];
    }
}
