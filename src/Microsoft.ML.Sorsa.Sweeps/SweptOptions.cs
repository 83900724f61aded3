using static Microsoft.ML.Sorsa.SorsaFineTuningTrainer;

namespace Microsoft.ML.Sorsa.Sweeps;

/// <summary>
/// A search space against the trainer's options and the model: every value at an end, every choice, with every method that it can come
/// together with.
/// </summary>
internal static class SweptOptions
{
    private const double WithinARange = 0.381966;

    /// <summary>What other options depend on, in the order in which they do.</summary>
    private static readonly string[] s_deciding =
    [
        nameof(Options.Method), nameof(Options.Triplets), nameof(Options.HardOrthonormality), nameof(Options.Quantization),
        nameof(Options.EndToken),
    ];

    /// <exception cref="ArgumentException">
    /// An option is not the trainer's; a value is outside its range, or does not fit the method or the model.
    /// </exception>
    public static void Verify(SorsaCatalog catalog, Options trainer, SorsaSearchSpace space)
    {
        foreach ((string name, _) in space)
        {
            if (!OptionText.Sweepable.Contains(name, StringComparer.Ordinal))
            {
                throw new ArgumentException($"The search space has '{name}', which is no option of the trainer that a sweep can vary. "
                    + $"Use one of {string.Join(", ", OptionText.Sweepable)}.", name);
            }
        }

        IReadOnlyList<IReadOnlyDictionary<string, object?>> cases = Cases(space);
        foreach ((string name, ISearchOption option) in space)
        {
            bool isUsed = false;
            foreach (IReadOnlyDictionary<string, object?> others in cases)
            {
                // A value within the range, too: where whole numbers are asked for, the ends alone may be some.
                foreach (object? value in option.Ends.Append(option.FromUnitInterval(WithinARange)))
                {
                    IReadOnlyDictionary<string, object?> parameters =
                        Reduce(trainer, space.Parameters((other, _) => other == name ? value : others[other]));
                    isUsed |= parameters.ContainsKey(name);

                    // A trainer compares its options with the model's config.json when it is made.
                    catalog.FineTune(Apply(trainer, parameters));
                }
            }

            if (!isUsed)
            {
                throw new ArgumentException($"The search space has '{name}', which no combination of the others has a use for: it does not "
                    + $"belong to Method {trainer.Method}, or to what else is set. Leave it out, or choose a method that has it.", name);
            }
        }
    }

    /// <summary>A trial's parameters without those that its method, or another of its choices, has no use for.</summary>
    public static IReadOnlyDictionary<string, object?> Reduce(Options trainer, IReadOnlyDictionary<string, object?> parameters)
    {
        Options options = trainer.Copy();
        foreach (string name in s_deciding.Where(name => parameters.ContainsKey(name) && options.HasEffect(name)))
        {
            options.Set(name, ParameterText.Of(parameters[name]));
        }

        return new OrderedDictionary<string, object?>(
            parameters.Where(parameter => options.HasEffect(parameter.Key)), StringComparer.Ordinal);
    }

    /// <summary>The trainer's options with a trial's values.</summary>
    public static Options Apply(Options trainer, IReadOnlyDictionary<string, object?> parameters)
    {
        Options options = trainer.Copy();
        foreach ((string name, object? value) in parameters)
        {
            options.Set(name, ParameterText.Of(value));
        }

        return options;
    }

    /// <summary>The largest rank that a trial can ask for.</summary>
    public static int LargestRank(Options trainer, SorsaSearchSpace space) =>
        space.Where(option => option.Key == nameof(trainer.Rank)).SelectMany(option => option.Value.Ends)
            .Select(rank => Apply(trainer, new Dictionary<string, object?> { [nameof(trainer.Rank)] = rank }).Rank ?? Options.DefaultRank)
            .DefaultIfEmpty(trainer.Rank ?? Options.DefaultRank).Max();

    /// <summary>
    /// Every combination of the options in <see cref="s_deciding"/>. All other options have their last end, so that the largest Rank is
    /// checked together with the largest SliceStart.
    /// </summary>
    private static IReadOnlyList<IReadOnlyDictionary<string, object?>> Cases(SorsaSearchSpace space)
    {
        IEnumerable<OrderedDictionary<string, object?>> cases = [space.Parameters((_, option) => option.Ends[^1])];
        foreach ((string name, ISearchOption option) in space.Where(option => s_deciding.Contains(option.Key, StringComparer.Ordinal)))
        {
            cases = cases.SelectMany(
                others => option.Ends.Select(value => space.Parameters((other, _) => other == name ? value : others[other])));
        }

        return [.. cases];
    }
}
