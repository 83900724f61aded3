namespace Microsoft.ML.Sorsa.Tests;

/// <summary>Groups of nodes of which each is reached from every other one (Tarjan's strongly connected components).</summary>
internal static class Circles
{
    /// <summary>The groups of two and more.</summary>
    public static IReadOnlyList<IReadOnlyList<string>> Of(IReadOnlyDictionary<string, IEnumerable<string>> edges)
    {
        var found = new List<IReadOnlyList<string>>();
        var index = new Dictionary<string, int>(StringComparer.Ordinal);
        var low = new Dictionary<string, int>(StringComparer.Ordinal);
        var stack = new Stack<string>();
        foreach (string node in edges.Keys.Order(StringComparer.Ordinal).Where(node => !index.ContainsKey(node)).ToList())
        {
            if (!index.ContainsKey(node))
            {
                Visit(node);
            }
        }

        return found;

        void Visit(string node)
        {
            index[node] = low[node] = index.Count;
            stack.Push(node);
            foreach (string next in edges.GetValueOrDefault(node, []).Distinct(StringComparer.Ordinal))
            {
                if (!index.TryGetValue(next, out int seen))
                {
                    Visit(next);
                    low[node] = Math.Min(low[node], low[next]);
                }
                else if (stack.Contains(next))
                {
                    low[node] = Math.Min(low[node], seen);
                }
            }

            if (low[node] < index[node])
            {
                return;
            }

            var group = new List<string>();
            do
            {
                group.Add(stack.Pop());
            }
            while (group[^1] != node);

            if (group.Count > 1)
            {
                found.Add([.. group.Order(StringComparer.Ordinal)]);
            }
        }
    }
}
